// The memory that JavaScript would hand to a sender.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "../layout.h"
#include "../pages.h"
#include "../sender_core.h"

namespace ackgate::sim {

struct Result {
  uint32_t op;
  uint32_t slot;
  uint32_t generation;
  int32_t value;
};

struct Sizes {
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
  /** With an arena of its own unless one of at least that many slots is given. */
  explicit Tables(const Sizes& sizes, std::shared_ptr<Arena> arena = nullptr)
      : sizes_(sizes),
        arena_(arena == nullptr ? std::make_shared<Arena>(sizes.slots) : std::move(arena)),
        requests_(size_t{sizes.slots} * 2 * layout::requestWords),
        results_(size_t{sizes.results} * layout::resultWords),
        state_(layout::stateWords) {}

  SenderConfig config(const int32_t* fence) {
    SenderConfig config;
    config.arena = arena_->start();
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

  uint8_t* buffer(uint32_t slot) { return arena_->start() + size_t{slot} * layout::sendBufferBytes; }

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
  Sizes sizes_;
  std::shared_ptr<Arena> arena_;
  std::vector<uint32_t> requests_;
  std::vector<int32_t> results_;
  std::vector<int32_t> state_;
};

inline Request sendOf(uint32_t slot, uint32_t length, uint32_t generation = 1, uint32_t offset = 0) {
  return {layout::op::send, slot, generation, offset, length};
}
inline Request pollOf(uint32_t slot, uint32_t generation = 1) {
  return {layout::op::poll, slot, generation, 0, 0};
}

}  // namespace ackgate::sim
