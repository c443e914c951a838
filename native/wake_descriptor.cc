#include "wake_descriptor.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "platform.h"

#if ACKGATE_LINUX
#include <sys/eventfd.h>
#endif

namespace ackgate {

#if ACKGATE_LINUX

int createWakeDescriptor() {
  const int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  return fd < 0 ? -errno : fd;
}

#else

namespace {

/** A FIFO without a name: opened for both directions it needs nobody at its other end. */
int openFifo(const std::string& path) {
  if (mkfifo(path.c_str(), S_IRUSR | S_IWUSR) < 0) {
    return -errno;
  }
  const int fd = ::open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
  const int opened = fd < 0 ? -errno : fd;
  unlink(path.c_str());
  return opened;
}

}  // namespace

int createWakeDescriptor() {
  std::string directory = "/tmp/ackgate-XXXXXX";
  if (mkdtemp(directory.data()) == nullptr) {
    return -errno;
  }
  const int fd = openFifo(directory + "/wake");
  rmdir(directory.c_str());
  return fd;
}

#endif

int wake(int fd) {
  const uint64_t one = 1;
  // Full: it is readable until somebody clears it, which is all that a wake asks for.
  return ::write(fd, &one, sizeof one) < 0 && errno != EAGAIN ? -errno : 0;
}

void clearWake(int fd) {
  std::array<uint8_t, 512> bytes{};
  // A read that does not fill the room has emptied it; not readable at all is the usual case.
  while (::read(fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size())) {
  }
}

}  // namespace ackgate
