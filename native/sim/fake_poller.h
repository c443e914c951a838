#pragma once

#include <map>

#include "fake_kernel.h"

namespace ackgate::sim {

/** Write interest in sockets of the fake kernel. */
class FakePoller final : public PollerOps {
 public:
  explicit FakePoller(FakeKernel& kernel) : kernel_(kernel) {}

  int arm(int fd, uint32_t slot, uint32_t generation, bool again) override;
  void forget(int fd) override;
  uint32_t take(Readiness* out, uint32_t max) override;
  void sleep(int wakeFd, uint64_t timeoutNs) override;
  void close() override {}

 private:
  struct Interest {
    uint32_t slot;
    uint32_t generation;
    bool armed;
  };

  FakeKernel& kernel_;
  std::map<int, Interest> interests_;
};

}  // namespace ackgate::sim
