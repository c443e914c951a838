#include "descriptors.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <limits>

namespace ackgate {

namespace {

/** A socket option, or a negative errno. */
int option(int fd, int name) {
  int value = 0;
  socklen_t length = sizeof value;
  return getsockopt(fd, SOL_SOCKET, name, &value, &length) < 0 ? -errno : value;
}

/** 0 for a stream socket that sends to one peer. */
int refusal(int fd) {
  const int type = option(fd, SO_TYPE);
  if (type < 0) {
    return type;
  }
  if (type != SOCK_STREAM) {
    return -EPROTOTYPE;
  }
  const int domain = option(fd, SO_DOMAIN);
  if (domain != AF_INET && domain != AF_INET6 && domain != AF_UNIX) {
    return -EAFNOSUPPORT;
  }
  return option(fd, SO_ACCEPTCONN) == 0 ? 0 : -EOPNOTSUPP;
}

}  // namespace

int adoptDescriptor(int fd, int kernelSendBufferBytes) {
  const int refused = refusal(fd);
  if (refused != 0) {
    return refused;
  }
  const int own = duplicateDescriptor(fd);
  if (own < 0) {
    return own;
  }
  // A peer that has gone refuses options; its first send says so better than an error here would.
  if (option(own, SO_DOMAIN) != AF_UNIX) {
    const int yes = 1;
    setsockopt(own, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  }
  if (kernelSendBufferBytes > 0) {
    setsockopt(own, SOL_SOCKET, SO_SNDBUF, &kernelSendBufferBytes, sizeof kernelSendBufferBytes);
  }
  return own;
}

int duplicateDescriptor(int fd) {
  // From 3 on: never into the place of a standard stream that somebody closed.
  const int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  return own < 0 ? -errno : own;
}

int closeDescriptor(int fd) { return ::close(fd) < 0 ? -errno : 0; }

int createWakeDescriptor() {
  const int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  return fd < 0 ? -errno : fd;
}

int wake(int fd) {
  const uint64_t one = 1;
  return ::write(fd, &one, sizeof one) < 0 ? -errno : 0;
}

DescriptorLimits descriptorLimits() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  const auto number = [](rlim_t value) {
    return value == RLIM_INFINITY ? std::numeric_limits<double>::infinity() : static_cast<double>(value);
  };
  return {number(limit.rlim_cur), number(limit.rlim_max)};
}

}  // namespace ackgate
