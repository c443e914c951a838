import { constants } from 'node:os';
import { nativeAddon } from '../egress/native.js';
import { AckgateError, AckgateRangeError } from '../errors.js';

const { EBADF, EMFILE, ENFILE } = constants.errno;

/**
 * A private dup of a stream socket's descriptor, ready for a sender.
 *
 * @throws ERR_ACKGATE_BAD_FD, ERR_ACKGATE_SOCKET_KIND, ERR_ACKGATE_TOO_MANY_FDS
 */
export function adopt(fd: unknown, kernelSendBufferBytes: number): number {
  if (typeof fd !== 'number' || !Number.isInteger(fd) || fd < 0 || fd > 0x7fffffff) {
    throw new AckgateRangeError(
      'ERR_ACKGATE_BAD_FD',
      `target must be a net.Socket or an open file descriptor, got ${String(fd)}`,
    );
  }
  const dup = nativeAddon().adoptFd(fd, kernelSendBufferBytes);
  if (dup >= 0) return dup;
  const errno = -dup;
  if (errno === EBADF) throw new AckgateError('ERR_ACKGATE_BAD_FD', `file descriptor ${fd} is not open`);
  if (errno === EMFILE || errno === ENFILE) {
    throw new AckgateError(
      'ERR_ACKGATE_TOO_MANY_FDS',
      'the limit of open file descriptors is reached; an attached socket takes two (see ulimit -n)',
    );
  }
  throw new AckgateError(
    'ERR_ACKGATE_SOCKET_KIND',
    `file descriptor ${fd} is not a connected stream socket (errno ${errno})`,
  );
}
