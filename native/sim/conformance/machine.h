// A kernel with peers on its other side: the live one over loopback, or the fake one. Scenarios are written
// once and run on both.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "../../kernel_ops.h"

namespace ackgate::sim {

/** Sizes of the kernel's queues for one connection, in bytes, as asked for. */
struct QueueSizes {
  int send = 64 * 1024;
  int receive = 64 * 1024;
};

class Machine {
 public:
  Machine() = default;
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;
  virtual ~Machine() = default;

  virtual SocketOps& sockets() = 0;
  /** Null when there is none to be had. */
  virtual std::unique_ptr<RingOps> ring() = 0;
  /** A connection to a peer that reads only when told to: its descriptor. */
  virtual int connect(const QueueSizes& sizes) = 0;
  int connect() { return connect(QueueSizes{}); }
  /** The writing end of a pipe. */
  virtual int pipe() = 0;

  // What the peer does; `fd` is the number that `connect` returned, also after it was closed.
  /** Reads what there is, at most so much. Returns how much. */
  virtual size_t peerReads(int fd, size_t most) = 0;
  virtual void peerResets(int fd) = 0;
  /** With nothing left to read: `nothing`, `end` or `reset`. */
  virtual std::string peerSees(int fd) = 0;

  /** Time for the kernel to do what it does by itself. */
  virtual void settle() = 0;
  /** A signal comes during the next wait. */
  virtual void interrupt() = 0;
};

std::unique_ptr<Machine> createFakeMachine();
/** Null without liburing, or where the kernel refuses a ring; `reason` says so. */
std::unique_ptr<Machine> createLiveMachine(std::string* reason);

}  // namespace ackgate::sim
