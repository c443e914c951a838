#include "report.h"

#include <array>
#include <cstdio>

#include "random.h"

namespace ackgate::sim {

namespace {

template <size_t count>
std::string counts(const std::array<const char*, count>& names, const std::array<uint64_t, count>& values) {
  std::string text;
  for (size_t i = 0; i < count; i++) {
    text += (i == 0 ? "" : ",") + quoted(names[i]) + ":" + std::to_string(values[i]);
  }
  return "{" + text + "}";
}

std::string hex(uint64_t value) {
  std::array<char, 17> digits{};
  std::snprintf(digits.data(), digits.size(), "%016llx", static_cast<unsigned long long>(value));
  return digits.data();
}

}  // namespace

std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      result += '\\';
    }
    result += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  }
  return result + '"';
}

void Report::add(uint64_t seed, const Outcome& outcome, bool only) {
  seeds_++;
  hash_ = only ? outcome.hash : mix(hash_ ^ outcome.hash);
  for (size_t i = 0; i < faultCount; i++) {
    fired_[i] += outcome.fired[i];
  }
  for (size_t i = 0; i < reachedCount; i++) {
    reached_[i] += outcome.reached[i];
  }
  if (!outcome.invariant.empty()) {
    failures_.push_back({seed, outcome.invariant, outcome.message, outcome.faults});
  }
}

std::string Report::json() const {
  std::string failures;
  for (const Failure& failure : failures_) {
    std::string faults;
    for (const std::string& name : failure.faults) {
      faults += (faults.empty() ? "" : ",") + quoted(name);
    }
    failures += failures.empty() ? "" : ",";
    failures += R"({"seed":)" + std::to_string(failure.seed) + R"(,"invariant":)" +
                quoted(failure.invariant) + R"(,"message":)" + quoted(failure.message) + R"(,"faults":[)" +
                faults + "]}";
  }
  return R"({"seeds":)" + std::to_string(seeds_) + R"(,"failures":[)" + failures +
         R"(],"coverage":{"faults":)" + counts(faultNames, fired_) + R"(,"reached":)" +
         counts(reachedNames, reached_) + R"(},"hash":)" + quoted(hex(hash_)) + "}";
}

}  // namespace ackgate::sim
