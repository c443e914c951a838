// What the stage would know of its connections, and the checks that it cannot make: what each socket has
// taken against what was appended.
#pragma once

#include <cstdint>
#include <vector>

#include "fake_kernel.h"
#include "tables.h"

namespace ackgate::sim {

struct Stream {
  enum class Life : uint8_t { free, open, closing };
  enum class Peer : uint8_t { reads, trickles, stopped };

  Life life = Life::free;
  Peer peer = Peer::reads;
  uint32_t generation = 0;
  size_t socket = 0;
  /** How it is ended. */
  uint32_t how = 0;
  /** Positions in the stream of bytes; a position's place in the buffer is its rest by the window. */
  uint64_t appended = 0;
  uint64_t sent = 0;
  uint32_t underWay = 0;
  bool sending = false;
  bool polling = false;
  /** The kernel took nothing: a poll comes next. */
  bool refused = false;
  /** The last result that moved bytes did not move all of them. */
  bool cutShort = false;
  /** Steps without progress. */
  uint32_t stuck = 0;

  [[nodiscard]] uint64_t used() const { return appended - sent; }
  [[nodiscard]] bool dirty() const {
    return life == Life::open && used() > 0 && !sending && !polling && !refused;
  }
};

/** All connections of one world. */
class Streams {
 public:
  Streams(FakeKernel& kernel, Tables& tables, uint32_t slots, uint32_t window)
      : kernel_(kernel), tables_(tables), window_(window), items_(slots) {}

  Stream& operator[](size_t slot) { return items_[slot]; }
  [[nodiscard]] uint32_t size() const { return static_cast<uint32_t>(items_.size()); }

  /** A new connection in a free slot; `refused`: the sender did not take it. */
  void open(uint32_t slot, int fd, bool refused);
  void append(uint32_t slot, uint32_t bytes);
  /** The request for what is contiguous, noted as under way. */
  Request prepareSend(uint32_t slot);
  /** What a result means. Returns true when the connection must be dropped. */
  bool apply(const Result& result);
  /** Requests that were made and not answered. */
  [[nodiscard]] uint32_t owed() const;

  /** Slots that are not free. */
  [[nodiscard]] uint32_t occupied() const;

  /** After the last call: every socket has a prefix of what was appended. */
  void checkAll();
  /** No byte of the buffers is the stage's any more. */
  void poison();
  /** Answers for requests that are wrong on purpose. */
  uint64_t bogusAnswers = 0;
  static constexpr uint32_t bogusGeneration = 0x40000000;

 private:
  /** What a socket has to get. */
  struct Expected {
    uint64_t appended = 0;
    size_t verified = 0;
  };

  bool applySend(const Result& result, Stream* stream);
  void applyClosed(const Result& result, Stream* stream);
  void verify(size_t socket);
  [[nodiscard]] static uint8_t patternByte(size_t socket, uint64_t position);
  /** Calls with each contiguous part of the buffer between two positions. */
  template <typename Each>
  void pieces(uint32_t slot, uint64_t from, uint64_t to, const Each& each);
  /** Changes every byte. */
  void scramble(uint32_t slot, uint64_t from, uint64_t to);

  FakeKernel& kernel_;
  Tables& tables_;
  uint32_t window_;
  std::vector<Stream> items_;
  /** By socket. */
  std::vector<Expected> expected_;
};

}  // namespace ackgate::sim
