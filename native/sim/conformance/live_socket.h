#pragma once

#include "machine.h"

namespace ackgate::sim {

/** Both ends of a TCP connection over loopback. Reading from `far` never waits; sending to `near` does. */
struct LiveSocket {
  int near = -1;
  int far = -1;
};

LiveSocket connectLoopback(const QueueSizes& sizes);
/** Closes it so that the other end sees a reset. */
void resetFrom(int fd);
void pauseMs(int ms);

}  // namespace ackgate::sim
