#include "faults.h"

#include <algorithm>
#include <sstream>

namespace ackgate::sim {

const std::array<const char*, faultCount> faultNames{
    "short-send",      "blocked",        "transient-eagain",
    "result-zero",     "zero-window",    "trickle",
    "reset",           "broken-pipe",    "send-error",
    "eintr-before",    "eintr-after",    "eintr-wait",
    "submit-eagain",   "submit-ebusy",   "submit-fatal",
    "submit-partial",  "ring-full",      "completion-overflow",
    "late-completion", "delayed-cancel", "open-refused",
    "fd-reuse",        "fence",          "shutdown",
    "terminated",
};

const std::array<const char*, reachedCount> reachedNames{
    "uring",
    "posix",
    "many-rounds",
    "more-dirty-than-entries",
    "armed-send",
    "armed-poll",
    "wrapped-send",
    "slot-reopened",
    "ended-orderly",
    "ended-by-reset",
    "drop-under-way",
    "cancel-hit",
    "cancel-not-found",
    "overflow",
    "backlog",
    "fence-canceled",
    "refused-request",
    "pages-released",
    "teardown-under-way",
    "teardown-held",
    "healed",
};

bool parseFaults(const std::string& text, FaultSet* faults, std::string* wrong) {
  faults->fill(text == "all");
  if (text == "all" || text == "none") {
    return true;
  }
  std::istringstream names(text);
  for (std::string name; std::getline(names, name, ',');) {
    const auto* const at = std::find(faultNames.begin(), faultNames.end(), name);
    if (at == faultNames.end()) {
      *wrong = name;
      return false;
    }
    (*faults)[static_cast<size_t>(at - faultNames.begin())] = true;
  }
  return true;
}

}  // namespace ackgate::sim
