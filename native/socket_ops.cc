#include "socket_ops.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

namespace ackgate {

namespace {

bool isInternet(int fd) {
  int domain = 0;
  socklen_t length = sizeof domain;
  return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0 &&
         (domain == AF_INET || domain == AF_INET6);
}

int negative(int result) { return result < 0 ? -errno : result; }

}  // namespace

SystemSocketOps& SystemSocketOps::instance() {
  static SystemSocketOps ops;
  return ops;
}

int64_t SystemSocketOps::send(int fd, const uint8_t* bytes, uint32_t length) {
  const ssize_t sent = ::send(fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
  return sent < 0 ? -static_cast<int64_t>(errno) : sent;
}

int SystemSocketOps::endWrites(int fd) { return negative(::shutdown(fd, SHUT_WR)); }

int SystemSocketOps::reset(int fd) {
  if (isInternet(fd)) {
    // Lingering for no time acts when the last descriptor of the socket is closed, and others may be open.
    // Connecting to nowhere sends the reset now and drops what was queued.
    const linger atOnce{1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &atOnce, sizeof atOnce);
    sockaddr nowhere{};
    nowhere.sa_family = AF_UNSPEC;
    if (::connect(fd, &nowhere, sizeof nowhere) == 0) {
      return 0;
    }
  }
  return negative(::shutdown(fd, SHUT_RDWR));
}

int SystemSocketOps::close(int fd) { return negative(::close(fd)); }

int SystemSocketOps::queuedBytes(int fd) {
  int bytes = 0;
  return ioctl(fd, SIOCOUTQ, &bytes) < 0 ? -errno : bytes;
}

void SystemSocketOps::clearWake(int fd) {
  uint64_t count = 0;
  // Not readable is the usual case, and no reading empties an eventfd twice: the result says nothing.
  static_cast<void>(::read(fd, &count, sizeof count) < 0);
}

uint64_t SystemSocketOps::nowNs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000000U + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace ackgate
