// Both senders over a kernel that does whatever its seed says: every byte once and in order, one result for
// each request, the end of a slot last, nothing after a fence, nothing held in the end.
#include <doctest/doctest.h>

#include <cerrno>
#include <cstdlib>
#include <string>

#include "bench.h"

using namespace ackgate;
using namespace ackgate::test;

namespace {

uint8_t patternByte(int fd, size_t position) {
  return static_cast<uint8_t>(static_cast<size_t>(fd) * 37 + position * 31 + (position >> 8U) * 7);
}

uint64_t fromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

/** What the stage would know of a slot. */
struct Stream {
  int fd = -1;
  uint32_t generation = 0;
  size_t sent = 0;
  uint32_t offset = 0;
  uint32_t length = 0;
  bool sending = false;
  bool polling = false;
  bool closing = false;
  bool failed = false;
};

template <typename Sender>
class Run {
 public:
  explicit Run(uint64_t seed, bool fences) : bench_(seed, drawSizes(seed)), streams_(bench_.sizes.slots) {
    FakeKernel& kernel = bench_.kernel;
    const auto draw = [&kernel](int most) {
      return static_cast<int>(kernel.below(static_cast<uint32_t>(most)));
    };
    kernel.faults = {draw(300), draw(300), draw(500), draw(300), draw(700),
                     draw(500), draw(900), draw(700), 0};
    kernel.faults.fence = fences ? 2 : 0;
    if (bench_.ring != nullptr) {
      bench_.ring->busyKernel = kernel.chance(500);
    }
  }

  void go(int steps) {
    for (int i = 0; i < steps; i++) {
      step();
    }
    heal();
    finish();
  }

 private:
  static BenchSizes drawSizes(uint64_t seed) {
    std::mt19937_64 random(seed);
    const auto between = [&random](uint32_t low, uint32_t high) {
      return static_cast<uint32_t>(low + random() % (high - low + 1));
    };
    return {between(1, 24), between(2, 16), between(2, 32), between(1, 40)};
  }

  void step() {
    FakeKernel& kernel = bench_.kernel;
    std::vector<Request> requests;
    for (uint32_t slot = 0; slot < streams_.size(); slot++) {
      act(slot, &requests);
    }
    apply(bench_.flush(requests));
    if (kernel.chance(500)) {
      bench_.progress();
    }
    if (kernel.chance(300)) {
      kernel.wakes += kernel.below(2);
      bench_.sender->park(kernel.below(60));
    }
    if (kernel.chance(500)) {
      apply(bench_.reap());
    }
  }

  void act(uint32_t slot, std::vector<Request>* requests) {
    FakeKernel& kernel = bench_.kernel;
    Stream& stream = streams_[slot];
    if (stream.fd < 0) {
      if (kernel.chance(300)) {
        open(slot);
      }
      return;
    }
    FakeSocket& socket = kernel.socket(stream.fd);
    if (kernel.chance(300)) {
      socket.room += kernel.below(3000);
    }
    if (kernel.chance(20)) {
      socket.wasReset = true;
    }
    if (!stream.sending && !stream.closing && kernel.chance(600)) {
      requests->push_back(prepareSend(slot));
    }
    if (!stream.polling && !stream.closing && kernel.chance(100)) {
      stream.polling = true;
      requests->push_back(pollOf(slot, stream.generation));
    }
    // Also in the same step as a request, which is then queued, under way, or answered.
    if (!stream.closing && requests->empty() && kernel.chance(80)) {
      close(slot);
    }
  }

  void open(uint32_t slot) {
    Stream& stream = streams_[slot];
    const uint32_t generation = stream.generation + 1;
    stream = Stream{};
    stream.generation = generation;
    stream.fd = bench_.kernel.makeSocket(bench_.kernel.below(5000));
    REQUIRE(bench_.sender->open(slot, generation, stream.fd) == 0);
  }

  void close(uint32_t slot) {
    streams_[slot].closing = true;
    bench_.sender->close(slot, bench_.kernel.below(2));
  }

  Request prepareSend(uint32_t slot) {
    Stream& stream = streams_[slot];
    stream.offset = bench_.kernel.below(layout::sendBufferBytes);
    stream.length = bench_.kernel.below(std::min(4000U, layout::sendBufferBytes - stream.offset) + 1);
    uint8_t* bytes = bench_.tables.buffer(slot) + stream.offset;
    for (uint32_t i = 0; i < stream.length; i++) {
      bytes[i] = patternByte(stream.fd, stream.sent + i);
    }
    stream.sending = true;
    return sendOf(slot, stream.length, stream.generation, stream.offset);
  }

  void apply(const std::vector<Result>& results) {
    for (const Result& result : results) {
      CAPTURE(result.slot);
      REQUIRE(result.slot < streams_.size());
      Stream& stream = streams_[result.slot];
      REQUIRE(result.generation == stream.generation);
      REQUIRE(stream.fd >= 0);
      if (result.op == layout::op::send) {
        applySend(result, &stream);
      } else if (result.op == layout::op::poll) {
        REQUIRE(stream.polling);
        stream.polling = false;
      } else {
        REQUIRE(stream.closing);
        REQUIRE_FALSE(stream.sending);
        REQUIRE_FALSE(stream.polling);
        REQUIRE_FALSE(bench_.kernel.socket(stream.fd).open);
        check(stream);
        stream.fd = -1;
      }
    }
  }

  void applySend(const Result& result, Stream* stream) {
    REQUIRE(stream->sending);
    stream->sending = false;
    REQUIRE(result.value != -EINTR);
    if (result.value > 0) {
      REQUIRE(static_cast<uint32_t>(result.value) <= stream->length);
      stream->sent += static_cast<size_t>(result.value);
    }
    // From here on the bytes are the stage's again: whoever still reads them sends rubbish.
    uint8_t* bytes = bench_.tables.buffer(result.slot) + stream->offset;
    std::fill(bytes, bytes + stream->length, uint8_t{0xee});
  }

  void check(const Stream& stream) {
    const auto& received = bench_.kernel.socket(stream.fd).received;
    REQUIRE(received.size() == stream.sent);
    for (size_t i = 0; i < received.size(); i++) {
      if (received[i] != patternByte(stream.fd, i)) {
        FAIL("wrong byte at " << i);
      }
    }
  }

  /** No more faults: whatever was refused, interrupted or late must now come to its end. */
  void heal() {
    bench_.kernel.faults = {};
    for (const Stream& stream : streams_) {
      if (stream.fd >= 0) {
        bench_.kernel.socket(stream.fd).room = 1U << 30U;
      }
    }
    for (int i = 0; i < 200; i++) {
      bench_.progress();
      apply(bench_.reap());
    }
    for (const Stream& stream : streams_) {
      if (stream.fd >= 0) {
        REQUIRE_FALSE(stream.sending);
        REQUIRE_FALSE(stream.polling);
        REQUIRE_FALSE(stream.closing);
        check(stream);
      }
    }
  }

  void finish() {
    CHECK(bench_.sender->destroy(1000) == 0);
    CHECK(bench_.kernel.openSockets() == 0);
    for (const std::string& violation : bench_.kernel.violations) {
      FAIL_CHECK(violation);
    }
  }

  Bench<Sender> bench_;
  std::vector<Stream> streams_;
};

template <typename Sender>
void runAll(bool fences) {
  const uint64_t first = fromEnvironment("ACKGATE_SEED", 1);
  const uint64_t runs = fromEnvironment("ACKGATE_RUNS", 200);
  for (uint64_t seed = first; seed < first + runs; seed++) {
    CAPTURE(seed);
    Run<Sender> run(seed, fences);
    run.go(150);
  }
}

}  // namespace

TEST_CASE("random kernel, uring") { runAll<UringSender>(false); }
TEST_CASE("random kernel, uring, fenced") { runAll<UringSender>(true); }
TEST_CASE("random kernel, posix") { runAll<PosixSender>(false); }
TEST_CASE("random kernel, posix, fenced") { runAll<PosixSender>(true); }
