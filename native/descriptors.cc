#include "descriptors.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <limits>

#include "platform.h"

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
  const int domain = socketDomain(fd);
  // A socket whose peer has gone has no name any more on some systems.
  if (domain != AF_INET && domain != AF_INET6 && domain != AF_UNIX && domain != -EINVAL) {
    return -EAFNOSUPPORT;
  }
  // Where this cannot be asked (Darwin) the first send to a listening socket fails.
  return option(fd, SO_ACCEPTCONN) > 0 ? -EOPNOTSUPP : 0;
}

/** Makes sends neither wait nor signal where no flag of `send` does. */
void sendQuietly([[maybe_unused]] int fd) {
#if !ACKGATE_LINUX
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
#endif
#ifdef SO_NOSIGPIPE
  const int yes = 1;
  setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &yes, sizeof yes);
#endif
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
  sendQuietly(own);
  if (socketDomain(own) != AF_UNIX) {
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

int socketDomain(int fd) {
#if ACKGATE_LINUX
  return option(fd, SO_DOMAIN);
#else
  sockaddr_storage name{};
  socklen_t length = sizeof name;
  return getsockname(fd, reinterpret_cast<sockaddr*>(&name), &length) < 0 ? -errno : name.ss_family;
#endif
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
