#pragma once

#include <memory>

#include "kernel_ops.h"
#include "platform.h"

#if ACKGATE_LINUX

namespace ackgate {

/** Write interest through epoll, one shot per arming. */
class EpollPoller final : public PollerOps {
 public:
  /** Null, and a positive errno, when the kernel gives no epoll descriptor. */
  static std::unique_ptr<EpollPoller> create(int* error);
  ~EpollPoller() override;

  int arm(int fd, uint32_t slot, uint32_t generation, bool again) override;
  void forget(int fd) override;
  uint32_t take(Readiness* out, uint32_t max) override;
  void sleep(int wakeFd, uint64_t timeoutNs) override;
  void close() override;

 private:
  explicit EpollPoller(int fd) : fd_(fd) {}

  int fd_;
};

}  // namespace ackgate

#endif
