#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "machine.h"

namespace ackgate::sim {

/** What was seen, as names and values that don't depend on the machine. */
using Facts = std::vector<std::pair<std::string, std::string>>;

/** One situation, and what the table says of it. */
struct Row {
  std::string name;
  Facts expected;
  std::function<Facts(Machine&)> play;
};

/** A situation that the senders cannot bring about, or never do: only the live kernel can be asked. */
struct LiveRow {
  std::string name;
  Facts expected;
  /** Why the fake is not asked. */
  std::string why;
  /** Null when it is not played at all, for the same reason. */
  std::function<Facts()> play;
};

std::vector<Row> sharedRows();
/** Without liburing none of them can be played. */
std::vector<LiveRow> liveRows();

/** `0`, `-EPIPE`, `-9999`; a count is `all` or `short` of what was asked for. */
std::string nameOf(int32_t result, uint32_t length = 0);

}  // namespace ackgate::sim
