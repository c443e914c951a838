#pragma once

#include <cstdint>
#include <vector>

#include "kernel_ops.h"
#include "result_table.h"

namespace ackgate {

/** Memory and numbers that a sender works on; everything pointed to outlives it. */
struct SenderConfig {
  uint8_t* arena = nullptr;
  uint32_t slots = 0;
  uint32_t ringEntries = 0;
  int wakeFd = -1;
  const int32_t* fence = nullptr;
  const uint32_t* requests = nullptr;
  uint32_t requestsMax = 0;
  int32_t* results = nullptr;
  uint32_t resultsMax = 0;
  int32_t* state = nullptr;
  bool sqpoll = false;
};

/** A request of the table, decoded. */
struct Request {
  uint32_t op;
  uint32_t slot;
  uint32_t generation;
  uint32_t offset;
  uint32_t length;
};

struct Slot {
  enum class Life : uint8_t { free, open, closing };

  int fd = -1;
  uint32_t generation = 0;
  uint32_t sendLength = 0;
  Life life = Life::free;
  /** True exactly when a send was accepted and its result has not been pushed yet. */
  bool sending = false;
  /** The same for a poll. */
  bool polling = false;
  /** True exactly when the last send that moved bytes did not move all of them: the stream is inside a frame.
   */
  bool cutShort = false;
  /** True exactly when the poller knows the descriptor. */
  bool polled = false;

  [[nodiscard]] bool busy() const { return sending || polling; }
};

/** What both real senders share: slots, request checks, results, ending a connection. */
class SenderCore {
 public:
  SenderCore(const SenderConfig& config, SocketOps& sockets);
  SenderCore(const SenderCore&) = delete;
  SenderCore& operator=(const SenderCore&) = delete;

  [[nodiscard]] int32_t queuedBytes(uint32_t slot);
  void releasePages(uint32_t slot);

 protected:
  virtual ~SenderCore() = default;

  [[nodiscard]] bool fenced() const { return __atomic_load_n(config_.fence, __ATOMIC_SEQ_CST) != 0; }
  [[nodiscard]] Request requestAt(uint32_t index) const;
  /** 0 when the request can go out, else the negative errno that answers it. */
  [[nodiscard]] int32_t refusal(const Request& request) const;
  [[nodiscard]] const uint8_t* bytesOf(const Request& request) const;
  [[nodiscard]] bool isOpen(uint32_t slot) const;

  int32_t occupy(uint32_t slot, uint32_t generation, int fd);
  void pushSend(uint32_t slot, int32_t value);
  void pushPoll(uint32_t slot, int32_t value);
  /** Ends the connection and marks the slot closing. */
  void beginClose(uint32_t slot, uint32_t how);
  /** How to end a connection that nobody ended: a clean end inside a frame would lie, and a blocked peer
   * would keep what is queued for it in the kernel. */
  [[nodiscard]] static uint32_t howToAbandon(const Slot& slot);
  /** Closes the descriptor of every closing slot that has nothing under way, and reports its end. */
  void finishClosing();
  /** Before the descriptor is closed: lets go of what else refers to it. */
  virtual void release(uint32_t slot) = 0;
  void setState(uint32_t word, uint32_t value) const;

  SenderConfig config_;
  SocketOps& sockets_;
  std::vector<Slot> slots_;
  ResultTable results_;
  /** Slots in `Life::closing`. */
  std::vector<uint32_t> closing_;
};

}  // namespace ackgate
