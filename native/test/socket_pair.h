#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "../descriptors.h"

namespace ackgate::test {

/** Two connected sockets of the real kernel. */
class SocketPair {
 public:
  SocketPair() {
    std::array<int, 2> ends{};
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) == 0);
    // As a sender gets it.
    near_ = adoptDescriptor(ends[0], 0);
    REQUIRE(near_ > 2);
    ::close(ends[0]);
    far_ = ends[1];
  }
  ~SocketPair() {
    if (near_ >= 0) {
      ::close(near_);
    }
    ::close(far_);
  }
  SocketPair(const SocketPair&) = delete;
  SocketPair& operator=(const SocketPair&) = delete;

  [[nodiscard]] int near() const { return near_; }
  [[nodiscard]] int far() const { return far_; }
  /** Whoever calls closes it. */
  int takeNear() {
    const int fd = near_;
    near_ = -1;
    return fd;
  }

  /** Until the kernel has no room. */
  void fill() const {
    fcntl(near_, F_SETFL, fcntl(near_, F_GETFL) | O_NONBLOCK);
    const std::array<char, 4096> bytes{};
    while (::write(near_, bytes.data(), bytes.size()) > 0) {
    }
  }
  void drain() const {
    fcntl(far_, F_SETFL, fcntl(far_, F_GETFL) | O_NONBLOCK);
    std::array<char, 65536> bytes{};
    while (::read(far_, bytes.data(), bytes.size()) > 0) {
    }
  }

 private:
  int near_ = -1;
  int far_ = -1;
};

}  // namespace ackgate::test
