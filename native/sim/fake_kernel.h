// A kernel in memory, driven by a seed: sockets with little room, descriptors that are given out again, a
// clock. It keeps the rules that the real one can only suffer from: a submission after a fence, a descriptor
// closed twice, bytes that change while a request names them, a call that never ends.
#pragma once

#include <cstdint>
#include <deque>
#include <exception>
#include <string>
#include <vector>

#include "../kernel_ops.h"
#include "faults.h"
#include "random.h"

namespace ackgate::sim {

struct FakeSocket {
  /** All that was taken from the sender, in order. */
  std::vector<uint8_t> received;
  /** Free bytes in the kernel's send queue. */
  uint32_t room = 1U << 20U;
  /** Size of that queue; 0: writable whenever there is room at all. */
  uint32_t capacity = 0;
  /** Reported once, by the next send; after it the pipe is broken. A positive errno. */
  int pendingError = 0;
  bool peerGone = false;
  bool writesEnded = false;
  bool wasReset = false;
  /** Whether the sender's descriptor of it is open; whoever made the socket has another one all the time. */
  bool open = true;
  bool pipe = false;
};

/** What goes into the hash of a run, and into its trace. */
enum class Event : uint8_t {
  fault,
  moved,
  writesEnded,
  reset,
  closed,
  submitFailed,
  submitted,
  completed,
  ready,
  step,
  close,
  result,
  healing,
  destroyed,
};

/** A rule that was broken, by the number that the simulator's specification gives it. */
struct Violation {
  std::string invariant;
  std::string message;
};

/** Thrown out of a call that does not end by itself. */
class Stuck final : public std::exception {
 public:
  [[nodiscard]] const char* what() const noexcept override { return "a call that does not end"; }
};

/** A send that the kernel has begun and may still read from. */
struct HeldBytes {
  const uint8_t* bytes;
  uint32_t length;
  uint64_t hash;
};

class FakeKernel final : public SocketOps {
 public:
  explicit FakeKernel(uint64_t seed) : random(seed) {}

  /** Returns a descriptor for a sender. */
  int makeSocket(uint32_t room, uint32_t capacity = 0);
  /** A descriptor of the rest of the process: no business of a sender. */
  int makeStranger();
  void closeStranger(int fd);
  /** The socket that a descriptor stands for, or stood for last. */
  FakeSocket& socket(int fd) { return sockets_.at(idOf(fd)); }
  [[nodiscard]] const FakeSocket& socket(int fd) const { return sockets_.at(idOf(fd)); }
  [[nodiscard]] size_t idOf(int fd) const { return descriptors_.at(static_cast<size_t>(fd)).socket; }
  FakeSocket& socketOf(size_t id) { return sockets_.at(id); }
  [[nodiscard]] const std::deque<FakeSocket>& sockets() const { return sockets_; }
  /** Descriptors that were given to a sender and are open. */
  [[nodiscard]] size_t openSockets() const;

  /** The peer takes what is queued, up to `bytes`. */
  static void peerReads(FakeSocket* of, uint32_t bytes);
  /** The peer ends the connection: the next send reports it. */
  static void peerEnds(FakeSocket* of, int error);

  /** Draws; a fault that fires is counted. */
  bool fires(Fault fault);
  void reach(Reached what) { reached[static_cast<size_t>(what)]++; }
  bool chance(uint32_t inThousand) { return random.chance(inThousand); }
  uint32_t below(uint32_t bound) { return random.below(bound); }

  void violate(const char* invariant, std::string message) {
    violations.push_back({invariant, std::move(message)});
  }
  /** One more thing that happened. */
  void trace(Event event, uint64_t a = 0, uint64_t b = 0) {
    hash = mix(hash ^ mix(static_cast<uint64_t>(event) ^ mix(a ^ mix(b))));
    if (printTrace) {
      print(event, a, b);
    }
  }
  /** Every call of a sender counts; too many without `beginCall` in between throw `Stuck`. */
  void count();
  void beginCall(uint32_t most) {
    calls_ = 0;
    callsMax_ = most;
  }

  int64_t send(int fd, const uint8_t* bytes, uint32_t length) override;
  int endWrites(int fd) override;
  int reset(int fd) override;
  int close(int fd) override;
  int queuedBytes(int fd) override;
  void clearWake(int fd) override;
  uint64_t nowNs() override;

  /** What a send that does not wait moves, as the kernel would return it. */
  int32_t transfer(FakeSocket* of, const uint8_t* bytes, uint32_t length);
  /** As poll and a waiting send see it: a third of the queue must be free. */
  [[nodiscard]] static bool writable(const FakeSocket& of);

  [[nodiscard]] static uint64_t hashOf(const uint8_t* bytes, uint32_t length);
  /** True when the bytes are what they were. */
  [[nodiscard]] bool unchanged(const HeldBytes& held);
  /** Sends that were under way when their ring was closed: the kernel ends them later. */
  std::vector<HeldBytes> orphans;
  /** Reads what they name, and forgets them. */
  void endOrphans();

  Random random;
  FaultRates faults;
  std::array<uint64_t, faultCount> fired{};
  std::array<uint64_t, reachedCount> reached{};
  int32_t fence = 0;
  uint32_t wakes = 0;
  /** A signal comes during the next wait. */
  bool interruptWait = false;
  uint64_t now = 0;
  uint64_t hash = 0;
  /** Writes every event to standard error. */
  bool printTrace = false;
  /** Rules that were broken; a test expects none. */
  std::vector<Violation> violations;

 private:
  struct Descriptor {
    size_t socket = 0;
    bool open = false;
    bool stranger = false;
  };

  static void print(Event event, uint64_t a, uint64_t b);
  int newDescriptor(size_t socket, bool stranger);
  /** True when a sender may use the descriptor. */
  bool usable(int fd, const char* what);

  std::deque<FakeSocket> sockets_;
  std::vector<Descriptor> descriptors_;
  uint64_t calls_ = 0;
  uint64_t callsMax_ = UINT64_MAX;
};

}  // namespace ackgate::sim
