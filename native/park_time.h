#pragma once

#include <algorithm>
#include <cstdint>

#include "layout.h"

namespace ackgate {

/** Milliseconds from JavaScript as nanoseconds within the longest sleep; anything odd means not to sleep. */
inline uint64_t parkNs(double timeoutMs) {
  const double ms = timeoutMs > 0 ? std::min<double>(timeoutMs, layout::parkMsMax) : 0;
  return static_cast<uint64_t>(ms * 1e6);
}

}  // namespace ackgate
