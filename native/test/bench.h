// A sender over the fake kernel, with the tables that JavaScript would hand it.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "../posix_sender.h"
#include "../sim/fake_kernel.h"
#include "../sim/fake_poller.h"
#include "../sim/fake_ring.h"
#include "../sim/tables.h"
#include "../uring_sender.h"

namespace ackgate::test {

using sim::Fault;
using sim::Result;
using sim::Sizes;

template <typename Sender>
class Bench {
 public:
  explicit Bench(uint64_t seed, Sizes sizes = {}) : kernel(seed), tables(sizes), sizes(sizes) {
    const SenderConfig config = tables.config(&kernel.fence);
    if constexpr (std::is_same_v<Sender, UringSender>) {
      auto made = std::make_unique<sim::FakeRing>(kernel, sizes.entries, sizes.completionEntries);
      ring = made.get();
      sender = std::make_unique<UringSender>(config, kernel, std::move(made));
    } else {
      sender = std::make_unique<PosixSender>(config, kernel, std::make_unique<sim::FakePoller>(kernel));
    }
  }

  std::vector<Result> flush(const std::vector<Request>& requests) {
    for (uint32_t i = 0; i < requests.size(); i++) {
      tables.setRequest(i, requests[i]);
    }
    return tables.take(sender->flush(static_cast<uint32_t>(requests.size())));
  }
  std::vector<Result> reap() { return tables.take(sender->reap()); }

  /** What the kernel does by itself. */
  void progress() {
    if (ring != nullptr) {
      ring->progress();
    }
  }

  sim::FakeKernel kernel;
  sim::Tables tables;
  Sizes sizes;
  /** Null for the sender that has none. */
  sim::FakeRing* ring = nullptr;
  std::unique_ptr<Sender> sender;
};

}  // namespace ackgate::test
