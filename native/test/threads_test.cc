// The senders over the real kernel with other threads beside them: one reads, one wakes, one fences. The
// point of this file is the thread sanitizer.
#include <doctest/doctest.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <thread>

#include "../create_sender.h"
#include "../poll_poller.h"
#include "../socket_ops.h"
#include "../wake_descriptor.h"
#include "bench.h"
#include "socket_pair.h"

using namespace ackgate;
using namespace ackgate::sim;
using namespace ackgate::test;

namespace {

constexpr size_t streamBytes = 4U << 20U;

uint8_t patternByte(size_t position) { return static_cast<uint8_t>(position * 31 + (position >> 8U) * 7); }

/** Reads to the end; true when every byte was right. */
bool readAll(int fd, size_t* received) {
  std::array<uint8_t, 16384> bytes{};
  bool right = true;
  for (;;) {
    const ssize_t count = ::read(fd, bytes.data(), bytes.size());
    if (count <= 0) {
      return right;
    }
    for (ssize_t i = 0; i < count; i++) {
      right = right && bytes[static_cast<size_t>(i)] == patternByte((*received)++);
    }
  }
}

template <typename Sender>
using Maker = Created<Sender> (*)(const SenderConfig&);

/** With the poller of other systems. */
Created<PosixSender> createPolling(const SenderConfig& config) {
  auto poller = std::make_unique<PollPoller>(config.slots);
  Created<PosixSender> created;
  created.sender = std::make_unique<PosixSender>(config, SystemSocketOps::instance(), std::move(poller));
  return created;
}

template <typename Sender>
struct Real {
  explicit Real(Maker<Sender> make) : tables({4, 64, 256, 1024}), wakeFd(createWakeDescriptor()) {
    SenderConfig config = tables.config(&fence);
    config.wakeFd = wakeFd;
    created = make(config);
  }
  ~Real() { ::close(wakeFd); }
  Real(const Real&) = delete;
  Real& operator=(const Real&) = delete;

  bool usable() {
    if (created.sender == nullptr) {
      MESSAGE("no such sender here: errno " << created.error << " at " << created.stage);
      return false;
    }
    return true;
  }

  int32_t fence = 0;
  Tables tables;
  int wakeFd;
  SocketPair ends;
  Created<Sender> created;
};

template <typename Sender>
void sendToReader(Maker<Sender> make = createSender<Sender>) {
  Real<Sender> real(make);
  if (!real.usable()) {
    return;
  }
  Sender& sender = *real.created.sender;
  REQUIRE(sender.open(0, 1, real.ends.takeNear()) == 0);
  size_t received = 0;
  bool right = false;
  std::atomic<bool> done{false};
  std::thread reader([&] { right = readAll(real.ends.far(), &received); });
  std::thread waker([&] {
    while (!done) {
      wake(real.wakeFd);
      std::this_thread::yield();
    }
  });

  size_t sent = 0;
  bool waiting = false;
  bool refused = false;
  while (sent < streamBytes) {
    int32_t count = 0;
    if (waiting) {
      sender.park(50);
      count = sender.reap();
    } else if (refused) {
      // The reader may have made room already: then this call brings the answer.
      real.tables.setRequest(0, pollOf(0));
      count = sender.flush(1);
      refused = false;
      waiting = count == 0;
    } else {
      const auto length =
          static_cast<uint32_t>(std::min<size_t>(streamBytes - sent, layout::sendBufferBytes));
      for (uint32_t i = 0; i < length; i++) {
        real.tables.buffer(0)[i] = patternByte(sent + i);
      }
      real.tables.setRequest(0, sendOf(0, length));
      count = sender.flush(1);
      waiting = count == 0;
    }
    for (const Result& result : real.tables.take(count)) {
      waiting = false;
      if (result.op == layout::op::send && result.value > 0) {
        sent += static_cast<size_t>(result.value);
      } else if (result.op == layout::op::send) {
        REQUIRE(result.value == -EAGAIN);
        refused = true;
      }
    }
  }
  CHECK(sender.destroy(1000) == 0);
  done = true;
  waker.join();
  reader.join();
  CHECK(right);
  CHECK(received == streamBytes);
}

template <typename Sender>
void fenceFromOutside(Maker<Sender> make = createSender<Sender>) {
  Real<Sender> real(make);
  if (!real.usable()) {
    return;
  }
  Sender& sender = *real.created.sender;
  REQUIRE(sender.open(0, 1, real.ends.takeNear()) == 0);
  std::thread fencer([&] { __atomic_store_n(&real.fence, 1, __ATOMIC_SEQ_CST); });
  size_t received = 0;
  bool right = false;
  std::thread reader([&] { right = readAll(real.ends.far(), &received); });
  size_t sent = 0;
  for (bool fenced = false; !fenced;) {
    real.tables.buffer(0)[0] = patternByte(sent);
    real.tables.setRequest(0, sendOf(0, 1));
    for (const Result& result : real.tables.take(sender.flush(1))) {
      fenced = fenced || result.value == -ECANCELED;
      sent += result.value > 0 ? static_cast<size_t>(result.value) : 0;
    }
  }
  fencer.join();
  CHECK(sender.destroy(1000) == 0);
  reader.join();
  CHECK(right);
  CHECK(received == sent);
}

}  // namespace

TEST_CASE("a reader and a waker beside the uring sender") { sendToReader<UringSender>(); }
TEST_CASE("a reader and a waker beside the posix sender") { sendToReader<PosixSender>(); }
TEST_CASE("a reader and a waker beside the posix sender that polls") { sendToReader(createPolling); }
TEST_CASE("a fence from another thread, uring") { fenceFromOutside<UringSender>(); }
TEST_CASE("a fence from another thread, posix") { fenceFromOutside<PosixSender>(); }
TEST_CASE("a fence from another thread, posix that polls") { fenceFromOutside(createPolling); }
