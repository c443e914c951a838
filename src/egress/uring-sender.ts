import { NativeBackedSender } from './native-sender.js';
import type { SenderOptions } from './sender.js';
import type { TableSizes } from './sender-tables.js';

/**
 * Sends through an io_uring: one kernel entry per flush, and the kernel resumes blocked peers by itself.
 *
 * The constructor throws the addon's plain error, with `errno` and `stage`; `createSender` puts it into words.
 */
export class UringSender extends NativeBackedSender {
  readonly backend = 'uring';

  constructor(options: SenderOptions, sizes?: TableSizes) {
    super('UringSender', options, sizes);
  }
}
