// The simulator's C++ half: both senders over a kernel in memory, one world for each seed. Prints one JSON
// document and nothing else; exit code 0 when every invariant held, 1 when one did not, 2 for a wrong call.
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "random.h"
#include "report.h"
#include "world.h"

namespace {

using namespace ackgate::sim;

struct Options {
  uint64_t firstSeed = 1;
  uint64_t seeds = 1000;
  FaultSet faults{};
  bool trace = false;
  /** Every seed runs twice and must do the same. */
  bool checkRepeat = false;
  bool untilFailure = false;
};

int wrong(const std::string& message) {
  std::fprintf(stderr, "%s\n", message.c_str());
  return 2;
}

bool parseNumber(const char* text, uint64_t* number) {
  char* end = nullptr;
  errno = 0;
  *number = std::strtoull(text, &end, 10);
  return errno == 0 && *text >= '0' && *text <= '9' && *end == '\0';
}

/** Empty, or what is wrong. */
std::string parseFaultList(const char* text, FaultSet* faults) {
  std::string unknown;
  if (parseFaults(text, faults, &unknown)) {
    return "";
  }
  std::string message = "unknown fault '" + unknown + "'; there are: all, none";
  for (const char* name : faultNames) {
    message += std::string(", ") + name;
  }
  return message;
}

/** Empty, or what is wrong. */
std::string parseOptions(const std::vector<const char*>& arguments, Options* options) {
  options->faults.fill(true);
  for (size_t i = 0; i < arguments.size(); i++) {
    const std::string name = arguments[i];
    const char* value = i + 1 < arguments.size() ? arguments[i + 1] : "";
    std::string problem;
    if (name == "--trace") {
      options->trace = true;
      continue;
    }
    if (name == "--check-repeat") {
      options->checkRepeat = true;
      continue;
    }
    if (name == "--until-failure") {
      options->untilFailure = true;
      continue;
    }
    i++;
    if (name == "--first-seed" || name == "--seeds") {
      if (!parseNumber(value, name == "--seeds" ? &options->seeds : &options->firstSeed)) {
        problem = name + " takes a whole number, not '" + value + "'";
      }
    } else if (name == "--faults") {
      problem = parseFaultList(value, &options->faults);
    } else {
      problem = "unknown option " + name +
                "; there are --first-seed, --seeds, --faults, --trace, --check-repeat, --until-failure";
    }
    if (!problem.empty()) {
      return problem;
    }
  }
  return "";
}

/** For a crash: which seed it was. */
uint64_t seedNow = 0;
uint64_t seedsDone = 0;

extern "C" void crashed(int signal) {
  std::array<char, 400> text{};
  const int length = std::snprintf(
      text.data(), text.size(),
      R"({"seeds":%llu,"failures":[{"seed":%llu,"invariant":"crash","message":"signal %d","faults":[]}],)"
      R"("coverage":{"faults":{},"reached":{}},"hash":""})"
      "\n",
      static_cast<unsigned long long>(seedsDone) + 1, static_cast<unsigned long long>(seedNow), signal);
  static_cast<void>(!write(STDOUT_FILENO, text.data(), static_cast<size_t>(length)));
  _exit(1);
}

void reportCrashes() {
  // A sanitizer has more to say about it.
#if !defined(__SANITIZE_ADDRESS__)
  for (const int signal : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT}) {
    std::signal(signal, crashed);
  }
#endif
}

Report runAll(const Options& options) {
  const auto arena = std::make_shared<Arena>(worldSlotsMax);
  Report report;
  for (uint64_t i = 0; i < options.seeds; i++) {
    seedNow = options.firstSeed + i;
    Outcome outcome = runSeed(seedNow, options.faults, arena, options.trace);
    if (options.checkRepeat && outcome.invariant.empty()) {
      const Outcome again = runSeed(seedNow, options.faults, arena, false);
      if (again.hash != outcome.hash) {
        outcome.invariant = "I12";
        outcome.message = "a second run of the seed did something else";
      }
    }
    report.add(seedNow, outcome, options.seeds == 1);
    seedsDone++;
    if (options.untilFailure && !outcome.invariant.empty()) {
      break;
    }
  }
  return report;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  const std::string problem = parseOptions({argv + 1, argv + argc}, &options);
  if (!problem.empty()) {
    return wrong(problem);
  }
  reportCrashes();
  const Report report = runAll(options);
  std::puts(report.json().c_str());
  return report.ok() ? 0 : 1;
}
