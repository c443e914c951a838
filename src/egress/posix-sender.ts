import { NativeBackedSender } from './native-sender.js';
import type { SenderOptions } from './sender.js';
import type { TableSizes } from './sender-tables.js';

/**
 * Sends with non-blocking `send(2)` and tells by epoll, or `poll(2)` where there is none, when a blocked peer is
 * writable again.
 *
 * The constructor throws the addon's plain error, with `errno` and `stage`; `createSender` puts it into words.
 */
export class PosixSender extends NativeBackedSender {
  readonly backend = 'posix';

  constructor(options: SenderOptions, sizes?: TableSizes) {
    super('PosixSender', options, sizes);
  }
}
