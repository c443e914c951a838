// A sender over the fake kernel, with the tables that JavaScript would hand it.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "../layout.h"
#include "../pages.h"
#include "../posix_sender.h"
#include "../uring_sender.h"
#include "fake_kernel.h"

namespace ackgate::test {

struct Result {
  uint32_t op;
  uint32_t slot;
  uint32_t generation;
  int32_t value;
};

struct BenchSizes {
  uint32_t slots = 8;
  uint32_t entries = 64;
  uint32_t completionEntries = 256;
  uint32_t results = 1024;
};

/** Memory that starts on a page, as the arena must. */
class Arena {
 public:
  explicit Arena(uint32_t slots) : bytes_(slots * size_t{layout::sendBufferBytes} + pageBytes()) {}
  uint8_t* start() {
    const auto address = reinterpret_cast<uintptr_t>(bytes_.data());
    return bytes_.data() + (pageBytes() - address % pageBytes()) % pageBytes();
  }

 private:
  std::vector<uint8_t> bytes_;
};

class Tables {
 public:
  explicit Tables(const BenchSizes& sizes)
      : sizes_(sizes),
        arena_(sizes.slots),
        requests_(size_t{sizes.slots} * 2 * layout::requestWords),
        results_(size_t{sizes.results} * layout::resultWords),
        state_(layout::stateWords) {}

  SenderConfig config(const int32_t* fence) {
    SenderConfig config;
    config.arena = arena_.start();
    config.slots = sizes_.slots;
    config.ringEntries = sizes_.entries;
    config.fence = fence;
    config.requests = requests_.data();
    config.requestsMax = sizes_.slots * 2;
    config.results = results_.data();
    config.resultsMax = sizes_.results;
    config.state = state_.data();
    return config;
  }

  uint8_t* buffer(uint32_t slot) { return arena_.start() + size_t{slot} * layout::sendBufferBytes; }

  void setRequest(uint32_t index, const Request& request) {
    uint32_t* words = requests_.data() + size_t{index} * layout::requestWords;
    words[layout::request::op] = request.op;
    words[layout::request::slot] = request.slot;
    words[layout::request::generation] = request.generation;
    words[layout::request::offset] = request.offset;
    words[layout::request::length] = request.length;
  }

  [[nodiscard]] std::vector<Result> take(int32_t count) const {
    std::vector<Result> taken;
    for (int32_t i = 0; i < count; i++) {
      const int32_t* words = results_.data() + static_cast<size_t>(i) * layout::resultWords;
      taken.push_back({static_cast<uint32_t>(words[layout::result::op]),
                       static_cast<uint32_t>(words[layout::result::slot]),
                       static_cast<uint32_t>(words[layout::result::generation]),
                       words[layout::result::value]});
    }
    return taken;
  }

  [[nodiscard]] int32_t state(uint32_t word) const { return state_[word]; }

 private:
  BenchSizes sizes_;
  Arena arena_;
  std::vector<uint32_t> requests_;
  std::vector<int32_t> results_;
  std::vector<int32_t> state_;
};

template <typename Sender>
class Bench {
 public:
  explicit Bench(uint64_t seed, BenchSizes sizes = {}) : kernel(seed), tables(sizes), sizes(sizes) {
    const SenderConfig config = tables.config(&kernel.fence);
    if constexpr (std::is_same_v<Sender, UringSender>) {
      auto made = std::make_unique<FakeRing>(kernel, sizes.entries, sizes.completionEntries);
      ring = made.get();
      sender = std::make_unique<UringSender>(config, kernel, std::move(made));
    } else {
      sender = std::make_unique<PosixSender>(config, kernel, std::make_unique<FakePoller>(kernel));
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

  FakeKernel kernel;
  Tables tables;
  BenchSizes sizes;
  /** Null for the sender that has none. */
  FakeRing* ring = nullptr;
  std::unique_ptr<Sender> sender;
};

inline Request sendOf(uint32_t slot, uint32_t length, uint32_t generation = 1, uint32_t offset = 0) {
  return {layout::op::send, slot, generation, offset, length};
}
inline Request pollOf(uint32_t slot, uint32_t generation = 1) {
  return {layout::op::poll, slot, generation, 0, 0};
}

}  // namespace ackgate::test
