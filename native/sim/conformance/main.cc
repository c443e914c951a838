// Replays what the kernel is known to do against the live one and against the fake one. Prints one JSON
// document: what each showed, row by row. Comparing is the caller's.
#include <cstdio>

#include "../report.h"
#include "rows.h"

namespace {

using namespace ackgate::sim;

std::string json(const Facts& facts) {
  std::string text;
  for (const auto& [name, value] : facts) {
    text += (text.empty() ? "" : ",") + quoted(name) + ":" + quoted(value);
  }
  return "{" + text + "}";
}

std::string row(const std::string& name, const std::string& expected, const std::string& live,
                const std::string& fake, const std::string& why) {
  return R"({"row":)" + quoted(name) + R"(,"expected":)" + expected + R"(,"live":)" + live + R"(,"fake":)" +
         fake + R"(,"why":)" + (why.empty() ? "null" : quoted(why)) + "}";
}

}  // namespace

int main() {
  std::string reason;
  const auto live = createLiveMachine(&reason);
  std::string rows;
  const auto add = [&rows](const std::string& text) { rows += (rows.empty() ? "" : ",\n") + text; };
  for (const Row& of : sharedRows()) {
    // A machine of its own for each: nothing is left over from the one before.
    std::string ignored;
    const auto fresh = live == nullptr ? nullptr : createLiveMachine(&ignored);
    const std::string seen = fresh == nullptr ? "null" : json(of.play(*fresh));
    add(row(of.name, json(of.expected), seen, json(of.play(*createFakeMachine())), ""));
  }
  for (const LiveRow& of : liveRows()) {
    const bool played = live != nullptr && of.play != nullptr;
    add(row(of.name, json(of.expected), played ? json(of.play()) : "null", "null", of.why));
  }
  std::printf("{\"live\":%s,\"rows\":[\n%s\n]}\n", live == nullptr ? quoted(reason).c_str() : "true",
              rows.c_str());
  return 0;
}
