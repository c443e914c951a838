#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "faults.h"
#include "tables.h"

namespace ackgate::sim {

/** What came of one seed. */
struct Outcome {
  /** Empty when every invariant held. */
  std::string invariant;
  std::string message;
  /** Faults that were switched on. */
  std::vector<std::string> faults;
  std::array<uint64_t, faultCount> fired{};
  std::array<uint64_t, reachedCount> reached{};
  uint64_t hash = 0;
};

/** Most slots that a world draws: the arena has as many. */
constexpr uint32_t worldSlotsMax = 24;

/**
 * One world, from its seed alone: a sender, its connections and a kernel that misbehaves. `arena` may be used
 * by one world after the other. `trace` writes what happens to standard error.
 */
Outcome runSeed(uint64_t seed, const FaultSet& allowed, const std::shared_ptr<Arena>& arena, bool trace);

}  // namespace ackgate::sim
