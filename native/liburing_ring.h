#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernel_ops.h"

namespace ackgate {

struct RingRequest {
  uint32_t entries;
  /** Slots of the registered file table. */
  uint32_t files;
  bool sqpoll;
};

/** What came of setting up a ring. */
struct RingReport {
  /** 0, or the positive errno of the step that failed. */
  int error = 0;
  /** The step that failed: `build`, `setup` or `opcodes`. */
  std::string stage;
  uint32_t entries = 0;
  std::vector<std::string> features;
};

/**
 * A ring with as many features as the kernel has; one is left out at a time. Null when there is none to be
 * had; `report` says why.
 */
std::unique_ptr<RingOps> createLiburingRing(const RingRequest& request, RingReport* report);

}  // namespace ackgate
