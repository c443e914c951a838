// What identifies a request while the kernel has it: operation, slot and generation in one 64-bit word.
//
//    63        56 55                32 31                 0
//   |   what     |       slot         |     generation     |
#pragma once

#include <cstdint>

namespace ackgate {

/** What a completion answers. The first two carry the numbers of `layout::op`. */
enum class What : uint8_t {
  send = 1,
  poll = 2,
  /** Cancelling a send or a poll; never shown outside. */
  cancelSend = 4,
  cancelPoll = 5,
  /** The armed poll on the wake descriptor, and cancelling it. */
  wake = 6,
  cancelWake = 7,
};

constexpr uint32_t slotsMax = 1U << 24U;

constexpr uint64_t encodeUserData(What what, uint32_t slot, uint32_t generation) {
  return (static_cast<uint64_t>(what) << 56U) | (static_cast<uint64_t>(slot) << 32U) | generation;
}
constexpr What whatOf(uint64_t userData) { return static_cast<What>(userData >> 56U); }
constexpr uint32_t slotOf(uint64_t userData) {
  return static_cast<uint32_t>(userData >> 32U) & (slotsMax - 1);
}
constexpr uint32_t generationOf(uint64_t userData) { return static_cast<uint32_t>(userData); }

/** A completion, copied out of the kernel's queue before anything acts on it. */
struct Completion {
  uint64_t userData;
  int32_t result;
};

}  // namespace ackgate
