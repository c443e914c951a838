#include <algorithm>
#include <cerrno>

#include "../fake_kernel.h"
#include "../fake_ring.h"
#include "machine.h"

namespace ackgate::sim {

namespace {

constexpr uint32_t ringEntries = 64;

class FakeMachine final : public Machine {
 public:
  FakeMachine() : kernel_(1) {}

  SocketOps& sockets() override { return kernel_; }

  std::unique_ptr<RingOps> ring() override {
    auto ring = std::make_unique<FakeRing>(kernel_, ringEntries, ringEntries * 4);
    ring->checked = false;
    ring_ = ring.get();
    return ring;
  }

  int connect(const QueueSizes& sizes) override {
    const auto capacity = static_cast<uint32_t>(sizes.send + sizes.receive);
    return kernel_.makeSocket(capacity, capacity);
  }

  int pipe() override {
    const int fd = kernel_.makeSocket(0);
    kernel_.socket(fd).pipe = true;
    return fd;
  }

  size_t peerReads(int fd, size_t most) override {
    FakeSocket& of = kernel_.socket(fd);
    size_t total = 0;
    // What it frees lets the kernel go on, and then there is more to read.
    for (;;) {
      const uint32_t before = of.room;
      FakeKernel::peerReads(&of, static_cast<uint32_t>(std::min<size_t>(most - total, UINT32_MAX)));
      const size_t read = of.room - before;
      total += read;
      settle();
      if (read == 0) {
        return total;
      }
    }
  }

  void peerResets(int fd) override { FakeKernel::peerEnds(&kernel_.socket(fd), ECONNRESET); }

  std::string peerSees(int fd) override {
    const FakeSocket& of = kernel_.socket(fd);
    if (of.wasReset) {
      return "reset";
    }
    return of.writesEnded && of.room == of.capacity ? "end" : "nothing";
  }

  void settle() override {
    if (ring_ != nullptr) {
      ring_->progress();
    }
  }

  void interrupt() override { kernel_.interruptWait = true; }

 private:
  FakeKernel kernel_;
  /** Of the scenario, which keeps it to its end. */
  FakeRing* ring_ = nullptr;
};

}  // namespace

std::unique_ptr<Machine> createFakeMachine() { return std::make_unique<FakeMachine>(); }

}  // namespace ackgate::sim
