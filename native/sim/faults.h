// What can go wrong in the simulated kernel and around it, by the names that the command line uses, and what
// a run should have come across.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace ackgate::sim {

enum class Fault : uint8_t {
  /** The kernel takes fewer bytes than it has room for. */
  shortSend,
  /** It takes none although there is room: the send waits, or -EAGAIN. */
  blocked,
  /** A send in the ring ends with -EAGAIN instead of waiting. */
  transientEagain,
  /** A send of something ends with 0. */
  resultZero,
  /** A peer stops reading for good. */
  zeroWindow,
  /** A peer reads a few bytes at a time. */
  trickle,
  reset,
  brokenPipe,
  /** -ETIMEDOUT, -ENOBUFS and the like. */
  sendError,
  /** A signal before the kernel took anything, after it took all, and while results are fetched. */
  eintrBefore,
  eintrAfter,
  eintrWait,
  submitEagain,
  submitEbusy,
  /** Any other errno; half of the time the ring never takes anything again. */
  submitFatal,
  /** Some of the entries are taken. */
  submitPartial,
  /** The submission queue has less room than it should. */
  ringFull,
  completionOverflow,
  /** A request that could be answered at once is answered, or even begun, later. */
  lateCompletion,
  /** A cancel misses, or what it hit ends later. */
  delayedCancel,
  /** A descriptor that the kernel refuses to register or to watch. */
  openRefused,
  /** The number of a closed descriptor is given out again, to new connections and to strangers. */
  fdReuse,
  fence,
  /** The sender is destroyed at a drawn step. */
  shutdown,
  /** The same by its destructor, as when a Worker is terminated. */
  terminated,
};
constexpr size_t faultCount = static_cast<size_t>(Fault::terminated) + 1;

extern const std::array<const char*, faultCount> faultNames;

/** Situations that faults and luck lead to. */
enum class Reached : uint8_t {
  uring,
  posix,
  manyRounds,
  moreDirtyThanEntries,
  armedSend,
  armedPoll,
  wrappedSend,
  slotReopened,
  endedOrderly,
  endedByReset,
  dropUnderWay,
  cancelHit,
  cancelNotFound,
  overflow,
  backlog,
  fenceCanceled,
  refusedRequest,
  pagesReleased,
  teardownUnderWay,
  teardownHeld,
  healed,
};
constexpr size_t reachedCount = static_cast<size_t>(Reached::healed) + 1;

extern const std::array<const char*, reachedCount> reachedNames;

/** Chances in 1,000; 0 switches a fault off. */
class FaultRates {
 public:
  uint32_t& operator[](Fault fault) { return rates_[static_cast<size_t>(fault)]; }
  uint32_t operator[](Fault fault) const { return rates_[static_cast<size_t>(fault)]; }

 private:
  std::array<uint32_t, faultCount> rates_{};
};

/** Which faults may be drawn. */
using FaultSet = std::array<bool, faultCount>;

/** `all`, `none` or names with commas. False when one is unknown; `wrong` is it. */
bool parseFaults(const std::string& text, FaultSet* faults, std::string* wrong);

}  // namespace ackgate::sim
