#pragma once

#include <poll.h>

#include <cstddef>
#include <vector>

#include "kernel_ops.h"

namespace ackgate {

/** Write interest through `poll(2)`, for systems without epoll: every call costs as much as there are blocked
 * peers. */
class PollPoller final : public PollerOps {
 public:
  /** `perCall`: sockets that one call may name; systems limit it (Darwin to 10,240). */
  explicit PollPoller(uint32_t slots, size_t perCall = 1024);

  int arm(int fd, uint32_t slot, uint32_t generation, bool again) override;
  void forget(int fd) override;
  uint32_t take(Readiness* out, uint32_t max) override;
  /** To the next whole millisecond, since `poll` knows no shorter ones. */
  void sleep(int wakeFd, uint64_t timeoutNs) override;
  void close() override;

 private:
  struct Owner {
    uint32_t slot;
    uint32_t generation;
  };

  void removeTaken();

  size_t perCall_;
  /** The first place is for the wake descriptor, while sleeping. */
  std::vector<pollfd> sources_;
  /** Whose they are, place by place. */
  std::vector<Owner> owners_;
};

}  // namespace ackgate
