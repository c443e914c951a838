#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "world.h"

namespace ackgate::sim {

/** Sums up seeds, as JSON. */
class Report {
 public:
  /** `only`: the hash is the seed's own. */
  void add(uint64_t seed, const Outcome& outcome, bool only);
  [[nodiscard]] bool ok() const { return failures_.empty(); }
  [[nodiscard]] std::string json() const;

 private:
  struct Failure {
    uint64_t seed;
    std::string invariant;
    std::string message;
    std::vector<std::string> faults;
  };

  uint64_t seeds_ = 0;
  uint64_t hash_ = 0;
  std::array<uint64_t, faultCount> fired_{};
  std::array<uint64_t, reachedCount> reached_{};
  std::vector<Failure> failures_;
};

/** A JSON string. */
std::string quoted(const std::string& text);

}  // namespace ackgate::sim
