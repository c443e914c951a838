// Worlds of the simulator's C++ half under the sanitizers, and the seeds that have failed while it was built.
#include <doctest/doctest.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "../sim/world.h"

using namespace ackgate::sim;

namespace {

uint64_t fromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

Outcome run(uint64_t seed, const std::string& faults = "all") {
  static const auto arena = std::make_shared<Arena>(worldSlotsMax);
  FaultSet allowed{};
  std::string wrong;
  REQUIRE(parseFaults(faults, &allowed, &wrong));
  return runSeed(seed, allowed, arena, false);
}

void expectClean(uint64_t seed) {
  CAPTURE(seed);
  const Outcome outcome = run(seed);
  CAPTURE(outcome.message);
  CHECK(outcome.invariant.empty());
}

}  // namespace

TEST_CASE("seeded worlds break no invariant, and do the same again") {
  const uint64_t first = fromEnvironment("ACKGATE_SEED", 1);
  const uint64_t runs = fromEnvironment("ACKGATE_RUNS", 500);
  for (uint64_t seed = first; seed < first + runs; seed++) {
    expectClean(seed);
  }
  CHECK(run(first).hash == run(first).hash);
  CHECK(run(first).hash != run(first + 1).hash);
}

TEST_CASE("without faults none fires") {
  for (uint64_t seed = 1; seed <= 20; seed++) {
    const Outcome outcome = run(seed, "none");
    CHECK(outcome.invariant.empty());
    CHECK(outcome.faults.empty());
    for (const uint64_t fired : outcome.fired) {
      CHECK(fired == 0);
    }
  }
}

TEST_CASE("an unknown fault is named") {
  FaultSet faults{};
  std::string wrong;
  CHECK_FALSE(parseFaults("reset,nonesuch", &faults, &wrong));
  CHECK(wrong == "nonesuch");
}

// Teardown waited for its whole deadline when the cancel of the wake poll missed: it was not repeated.
TEST_CASE("regression: a cancel of the wake poll that misses") { expectClean(922); }
