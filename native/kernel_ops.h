// Everything that a sender asks of the kernel, as tables of functions: the real ones (socket_ops,
// epoll_poller, poll_poller, liburing_ring) and, in the tests, a seeded fake.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "completion.h"

namespace ackgate {

/** Calls on sockets and on the wake descriptor. Everything returns 0 or more, or a negative errno. */
class SocketOps {
 public:
  SocketOps() = default;
  SocketOps(const SocketOps&) = delete;
  SocketOps& operator=(const SocketOps&) = delete;
  virtual ~SocketOps() = default;

  /** `send(2)` that neither blocks nor signals. */
  virtual int64_t send(int fd, const uint8_t* bytes, uint32_t length) = 0;
  /** Ends the write side; what the kernel has is delivered first. */
  virtual int endWrites(int fd) = 0;
  /** Resets the connection; at once, whatever other descriptors of the socket are open, where the system can.
   */
  virtual int reset(int fd) = 0;
  virtual int close(int fd) = 0;
  /** Bytes that the peer has not acknowledged; -ENOTSUP where the system does not tell. */
  virtual int queuedBytes(int fd) = 0;
  virtual void clearWake(int fd) = 0;
  /** Monotonic. */
  virtual uint64_t nowNs() = 0;
};

/** One request for the ring. */
struct Submission {
  uint64_t userData;
  /** Send: the bytes. */
  const uint8_t* bytes;
  /** Cancel: whose request. */
  uint64_t target;
  uint32_t length;
  /** Of the socket, or of the wake descriptor. */
  int fd;
};

struct SubmitOutcome {
  /** How many of the prepared entries the kernel has taken, whatever the call returned. */
  uint32_t consumed;
  /** 0 or a positive errno. */
  int error;
};

/** A submission and completion queue. Belongs to the thread that made it. */
class RingOps {
 public:
  RingOps() = default;
  RingOps(const RingOps&) = delete;
  RingOps& operator=(const RingOps&) = delete;
  virtual ~RingOps() = default;

  [[nodiscard]] virtual uint32_t entries() const = 0;
  [[nodiscard]] virtual uint32_t completionEntries() const = 0;
  [[nodiscard]] virtual const std::vector<std::string>& features() const = 0;

  /** Queues what there is room for, out of the kernel's sight, and returns how many. */
  virtual uint32_t prepare(const Submission* submissions, uint32_t count) = 0;
  /** Forgets what was prepared: the kernel has not seen it. */
  virtual void rewind() = 0;
  /** Hands over what was prepared, and forgets what the kernel did not take. */
  virtual SubmitOutcome submit() = 0;

  /** True when completions are in the kernel that only entering it brings into the queue. */
  virtual bool needsEnter() = 0;
  virtual bool overflowed() = 0;
  /** Enters the kernel for completions, without waiting. Returns 0 or a positive errno. */
  virtual int getEvents() = 0;
  /** The same, waiting for one completion. `ETIME` when none came. */
  virtual int wait(uint64_t timeoutNs) = 0;
  /** Moves completions out of the queue. */
  virtual uint32_t take(Completion* out, uint32_t max) = 0;
  virtual bool ready() = 0;

  virtual int registerFile(uint32_t slot, int fd) = 0;
  virtual void unregisterFile(uint32_t slot) = 0;
  virtual void close() = 0;
};

struct Readiness {
  uint32_t slot;
  uint32_t generation;
  int32_t events;
};

/** Tells once when an armed socket is writable or has failed. */
class PollerOps {
 public:
  PollerOps() = default;
  PollerOps(const PollerOps&) = delete;
  PollerOps& operator=(const PollerOps&) = delete;
  virtual ~PollerOps() = default;

  /** `again`: the descriptor has been armed before. Returns 0 or a negative errno. */
  virtual int arm(int fd, uint32_t slot, uint32_t generation, bool again) = 0;
  virtual void forget(int fd) = 0;
  virtual uint32_t take(Readiness* out, uint32_t max) = 0;
  /** Sleeps until a socket is ready, the wake descriptor is readable, or the time is over. */
  virtual void sleep(int wakeFd, uint64_t timeoutNs) = 0;
  virtual void close() = 0;
};

}  // namespace ackgate
