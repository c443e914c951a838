// Calls on descriptors that belong to nobody's sender. All return a negative errno when they fail.
#pragma once

namespace ackgate {

/** A private descriptor of a connected stream socket, set up for sending. */
int adoptDescriptor(int fd, int kernelSendBufferBytes);
int duplicateDescriptor(int fd);
int closeDescriptor(int fd);
/** `AF_INET` and so on, of a socket. */
int socketDomain(int fd);

struct DescriptorLimits {
  double soft;
  double hard;
};
/** Infinity when there is none. */
DescriptorLimits descriptorLimits();

}  // namespace ackgate
