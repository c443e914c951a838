#pragma once

#include <array>
#include <cstdint>

namespace ackgate::sim {

/** Scrambles a word; also what seeds the generator. */
constexpr uint64_t mix(uint64_t value) {
  value += 0x9e3779b97f4a7c15U;
  value = (value ^ (value >> 30U)) * 0xbf58476d1ce4e5b9U;
  value = (value ^ (value >> 27U)) * 0x94d049bb133111ebU;
  return value ^ (value >> 31U);
}

/** xoshiro256**. Numbers are drawn by plain arithmetic: the distributions of std differ between machines. */
class Random {
 public:
  explicit Random(uint64_t seed) {
    for (uint64_t& word : state_) {
      seed += 0x9e3779b97f4a7c15U;
      word = mix(seed);
    }
  }

  uint64_t next() {
    const uint64_t result = rotate(state_[1] * 5, 7) * 9;
    const uint64_t shifted = state_[1] << 17U;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = rotate(state_[3], 45);
    return result;
  }

  /** 0 … bound-1; `bound` is at least 1. */
  uint32_t below(uint32_t bound) { return static_cast<uint32_t>(((next() >> 32U) * bound) >> 32U); }
  uint32_t between(uint32_t low, uint32_t high) { return low + below(high - low + 1); }
  bool chance(uint32_t inThousand) { return below(1000) < inThousand; }

 private:
  static uint64_t rotate(uint64_t value, unsigned by) { return (value << by) | (value >> (64 - by)); }

  std::array<uint64_t, 4> state_{};
};

}  // namespace ackgate::sim
