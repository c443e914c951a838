#include "socket_ops.h"

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

#include "descriptors.h"
#include "platform.h"
#include "wake_descriptor.h"

#ifdef __linux__
#include <linux/sockios.h>
#endif

namespace ackgate {

namespace {

// Outside of Linux the flag may mean nothing to a send (Darwin heeds it when it receives); `adoptDescriptor`
// has made the socket non-blocking there.
#if ACKGATE_LINUX
constexpr int dontWait = MSG_DONTWAIT;
#else
constexpr int dontWait = 0;
#endif

// Where there is no such flag `adoptDescriptor` has set SO_NOSIGPIPE.
#ifdef MSG_NOSIGNAL
constexpr int noSignal = MSG_NOSIGNAL;
#else
constexpr int noSignal = 0;
#endif

bool isInternet(int fd) {
  const int domain = socketDomain(fd);
  return domain == AF_INET || domain == AF_INET6;
}

/**
 * Sends the reset of a socket that lingers for no time, now: by itself it goes out when the last descriptor
 * of the socket is closed, and others may be open. False when the connection has ended already.
 */
bool disconnectNow([[maybe_unused]] int fd) {
#if defined(__linux__)
  sockaddr nowhere{};
  nowhere.sa_family = AF_UNSPEC;
  return ::connect(fd, &nowhere, sizeof nowhere) == 0;
#elif defined(__APPLE__)
  return ::disconnectx(fd, SAE_ASSOCID_ANY, SAE_CONNID_ANY) == 0;
#else
  // There is no way. Shutting down instead would end the stream in good order, and what was sent may end
  // inside a frame: the reset waits for the last descriptor.
  return true;
#endif
}

int negative(int result) { return result < 0 ? -errno : result; }

}  // namespace

SystemSocketOps& SystemSocketOps::instance() {
  static SystemSocketOps ops;
  return ops;
}

int64_t SystemSocketOps::send(int fd, const uint8_t* bytes, uint32_t length) {
  const ssize_t sent = ::send(fd, bytes, length, dontWait | noSignal);
  return sent < 0 ? -static_cast<int64_t>(errno) : sent;
}

int SystemSocketOps::endWrites(int fd) { return negative(::shutdown(fd, SHUT_WR)); }

int SystemSocketOps::reset(int fd) {
  if (isInternet(fd)) {
    const linger atOnce{1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &atOnce, sizeof atOnce);
    if (disconnectNow(fd)) {
      return 0;
    }
  }
  return negative(::shutdown(fd, SHUT_RDWR));
}

int SystemSocketOps::close(int fd) { return negative(::close(fd)); }

int SystemSocketOps::queuedBytes(int fd) {
  int bytes = 0;
#if defined(__linux__)
  return ioctl(fd, SIOCOUTQ, &bytes) < 0 ? -errno : bytes;
#elif defined(SO_NWRITE)
  socklen_t length = sizeof bytes;
  return getsockopt(fd, SOL_SOCKET, SO_NWRITE, &bytes, &length) < 0 ? -errno : bytes;
#elif defined(FIONWRITE)
  return ioctl(fd, FIONWRITE, &bytes) < 0 ? -errno : bytes;
#else
  static_cast<void>(fd);
  static_cast<void>(bytes);
  return -ENOTSUP;
#endif
}

void SystemSocketOps::clearWake(int fd) { ackgate::clearWake(fd); }

uint64_t SystemSocketOps::nowNs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000000U + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace ackgate
