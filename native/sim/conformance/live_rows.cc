// What the senders never ask for, or cannot: asked of the live kernel through liburing itself.
#include "rows.h"

#if HAVE_LIBURING
#include <liburing.h>
#endif

#if HAVE_LIBURING && defined(IORING_SETUP_DEFER_TASKRUN)

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include "live_socket.h"

namespace ackgate::sim {

namespace {

constexpr uint32_t bigSend = 4U << 20U;
constexpr size_t fillStep = 4096;
constexpr unsigned ringEntries = 8;
/** For what has to come. */
constexpr int longMs = 10000;
constexpr int shortMs = 150;

struct Answer {
  bool came = false;
  uint64_t userData = 0;
  int result = 0;
  unsigned flags = 0;

  [[nodiscard]] std::string name(uint32_t length = 0) const { return came ? nameOf(result, length) : "none"; }
};

class RawRing {
 public:
  explicit RawRing(unsigned flags = 0) { error = io_uring_queue_init(ringEntries, &ring_, flags); }
  ~RawRing() {
    if (error == 0) {
      io_uring_queue_exit(&ring_);
    }
  }
  RawRing(const RawRing&) = delete;
  RawRing& operator=(const RawRing&) = delete;

  io_uring_sqe* send(int fd, const std::vector<uint8_t>& bytes, int flags, uint64_t userData) {
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    io_uring_prep_send(sqe, fd, bytes.data(), bytes.size(), flags | MSG_NOSIGNAL);
    io_uring_sqe_set_data64(sqe, userData);
    return sqe;
  }
  io_uring_sqe* entry(uint64_t userData) {
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    io_uring_prep_nop(sqe);
    io_uring_sqe_set_data64(sqe, userData);
    return sqe;
  }
  int submit() { return io_uring_submit(&ring_); }

  Answer next(int timeoutMs = longMs) {
    __kernel_timespec timeout{timeoutMs / 1000, (timeoutMs % 1000) * 1000000LL};
    io_uring_cqe* cqe = nullptr;
    if (io_uring_wait_cqe_timeout(&ring_, &cqe, &timeout) != 0 || cqe == nullptr) {
      return {};
    }
    const Answer answer{true, cqe->user_data, cqe->res, cqe->flags};
    io_uring_cqe_seen(&ring_, cqe);
    return answer;
  }
  io_uring* get() { return &ring_; }

  int error;

 private:
  io_uring ring_{};
};

/** A connection, and what its peer reads. */
class Pair {
 public:
  Pair() : ends_(connectLoopback({})) {}
  ~Pair() {
    ::close(ends_.near);
    if (ends_.far >= 0) {
      ::close(ends_.far);
    }
  }
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;

  [[nodiscard]] int near() const { return ends_.near; }

  void fill() const {
    const std::vector<uint8_t> bytes(fillStep, 0);
    for (int refusals = 0; refusals < 2;) {
      if (::send(ends_.near, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
        refusals = 0;
      } else {
        refusals++;
        pauseMs(60);
      }
    }
  }
  /** Until nothing has come for a while. */
  [[nodiscard]] std::vector<uint8_t> drain() const {
    std::vector<uint8_t> all;
    std::vector<uint8_t> bytes(65536);
    for (int empty = 0; empty < 4;) {
      const ssize_t count = ::read(ends_.far, bytes.data(), bytes.size());
      if (count > 0) {
        all.insert(all.end(), bytes.begin(), bytes.begin() + count);
        empty = 0;
      } else {
        empty++;
        pauseMs(50);
      }
    }
    return all;
  }
  void reset() {
    resetFrom(ends_.far);
    ends_.far = -1;
  }

 private:
  LiveSocket ends_;
};

Facts waitAll() {
  RawRing ring;
  Pair pair;
  const std::vector<uint8_t> bytes(bigSend, 1);
  ring.send(pair.near(), bytes, MSG_WAITALL, 1);
  ring.submit();
  std::thread reader([&pair] { static_cast<void>(pair.drain()); });
  const Answer answer = ring.next();
  reader.join();
  return {{"result", answer.name(bigSend)}};
}

Facts waitAllReset() {
  RawRing ring;
  Pair pair;
  const std::vector<uint8_t> bytes(bigSend, 1);
  ring.send(pair.near(), bytes, MSG_WAITALL, 1);
  ring.submit();
  pauseMs(shortMs);
  pair.reset();
  Facts facts{{"result", ring.next().name(bigSend)}};
  ring.send(pair.near(), {1, 2, 3}, 0, 2);
  ring.submit();
  facts.emplace_back("next send", ring.next().name(3));
  return facts;
}

Facts cancelWaitAll() {
  RawRing ring;
  Pair pair;
  const std::vector<uint8_t> bytes(bigSend, 1);
  ring.send(pair.near(), bytes, MSG_WAITALL, 1);
  ring.submit();
  pauseMs(shortMs);
  io_uring_sqe* cancel = ring.entry(2);
  io_uring_prep_cancel64(cancel, 1, 0);
  io_uring_sqe_set_data64(cancel, 2);
  ring.submit();
  Facts facts;
  for (int i = 0; i < 2; i++) {
    const Answer answer = ring.next();
    if (answer.came && answer.userData == 1) {
      facts.emplace_back("target", answer.name(bigSend));
    }
  }
  return facts;
}

Facts userTimeout() {
  RawRing ring;
  Pair pair;
  const unsigned ms = 300;
  setsockopt(pair.near(), IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);
  pair.fill();
  const std::vector<uint8_t> bytes(fillStep, 1);
  ring.send(pair.near(), bytes, 0, 1);
  ring.submit();
  return {{"result", ring.next().name(fillStep)}};
}

Facts cancelByDescriptor() {
  RawRing ring;
  Pair pair;
  pair.fill();
  for (uint64_t i = 1; i <= 2; i++) {
    io_uring_sqe* poll = ring.entry(i);
    io_uring_prep_poll_add(poll, pair.near(), POLLOUT);
    io_uring_sqe_set_data64(poll, i);
  }
  ring.submit();
  io_uring_sqe* cancel = ring.entry(3);
  io_uring_prep_cancel_fd(cancel, pair.near(), IORING_ASYNC_CANCEL_ALL);
  io_uring_sqe_set_data64(cancel, 3);
  ring.submit();
  Facts facts;
  for (int i = 0; i < 3; i++) {
    const Answer answer = ring.next();
    if (answer.came && answer.userData == 3) {
      facts.emplace_back("result", answer.name());
    }
  }
  return facts;
}

/** How often the stream changes between the bytes of two sends. */
int changes(const std::vector<uint8_t>& stream) {
  int count = 0;
  for (size_t i = 1; i < stream.size(); i++) {
    count += stream[i] != stream[i - 1] ? 1 : 0;
  }
  return count;
}

Facts twoSends() {
  RawRing ring;
  Pair pair;
  const std::vector<uint8_t> first(bigSend, 1);
  const std::vector<uint8_t> second(bigSend, 2);
  ring.send(pair.near(), first, MSG_WAITALL, 1);
  ring.send(pair.near(), second, MSG_WAITALL, 2);
  ring.submit();
  std::thread waiter([&ring] {
    ring.next();
    ring.next();
  });
  const int seen = changes(pair.drain());
  waiter.join();
  return {{"their bytes", seen > 1 ? "interleave" : "stay apart"}};
}

Facts linkedSends() {
  RawRing ring;
  Pair pair;
  const std::vector<uint8_t> first(bigSend, 1);
  const std::vector<uint8_t> second(fillStep, 2);
  ring.send(pair.near(), first, 0, 1)->flags |= IOSQE_IO_LINK;
  ring.send(pair.near(), second, 0, 2);
  ring.submit();
  Facts facts{{"first", ring.next().name(bigSend)}};
  const std::vector<uint8_t> stream = pair.drain();
  const bool hole = !stream.empty() && stream.back() == 2;
  facts.emplace_back("second", hole ? "goes out behind the hole" : "does not go out");
  ring.next(shortMs);
  return facts;
}

Facts badEntryInBatch() {
  Facts facts;
  for (const unsigned flags : {0U, static_cast<unsigned>(IORING_SETUP_SUBMIT_ALL)}) {
    RawRing ring(flags);
    ring.entry(1);
    ring.entry(2)->opcode = 255;
    ring.entry(3);
    const int taken = ring.submit();
    // liburing has told the kernel of all three: what it left is still in the queue.
    const unsigned left = ring.get()->sq.sqe_tail - *ring.get()->sq.khead;
    facts.emplace_back(flags == 0 ? "taken" : "taken with SUBMIT_ALL", std::to_string(taken));
    facts.emplace_back(flags == 0 ? "left" : "left with SUBMIT_ALL", std::to_string(left));
  }
  return facts;
}

Facts otherThread() {
  RawRing ring(IORING_SETUP_SINGLE_ISSUER);
  ring.entry(1);
  ring.submit();
  int result = 0;
  std::thread other([&] {
    io_uring_prep_cancel64(ring.entry(2), 1, 0);
    result = ring.submit();
  });
  other.join();
  return {{"result", nameOf(result)}};
}

Facts threadDies() {
  RawRing ring;
  Pair pair;
  pair.fill();
  const std::vector<uint8_t> bytes(fillStep, 1);
  std::thread submitter([&] {
    ring.send(pair.near(), bytes, 0, 1);
    ring.submit();
  });
  submitter.join();
  Facts facts{{"before the peer reads", ring.next(shortMs).name(fillStep)}};
  static_cast<void>(pair.drain());
  facts.emplace_back("after", ring.next().name(fillStep));
  return facts;
}

Facts zeroCopy() {
  RawRing ring;
  Pair pair;
  const std::vector<uint8_t> bytes(fillStep, 1);
  io_uring_sqe* sqe = ring.entry(1);
  io_uring_prep_send_zc(sqe, pair.near(), bytes.data(), bytes.size(), MSG_NOSIGNAL, 0);
  io_uring_sqe_set_data64(sqe, 1);
  ring.submit();
  static_cast<void>(pair.drain());
  const Answer result = ring.next();
  const Answer notification = ring.next();
  return {{"result", result.name(fillStep)},
          {"more to come", (result.flags & IORING_CQE_F_MORE) != 0 ? "yes" : "no"},
          {"notification", (notification.flags & IORING_CQE_F_NOTIF) != 0 ? "yes" : "no"}};
}

}  // namespace

std::vector<LiveRow> liveRows() {
  const std::string never = "the senders never ask for it";
  return {
      {"4 MiB with WAITALL", {{"result", "all"}}, never, waitAll},
      {"WAITALL, then the peer resets", {{"result", "short"}, {"next send", "-EPIPE"}}, never, waitAllReset},
      {"cancelled WAITALL send", {{"target", "short"}}, never, cancelWaitAll},
      {"TCP_USER_TIMEOUT with a zero window", {{"result", "-ETIMEDOUT"}}, never, userTimeout},
      {"cancel by descriptor, all", {{"result", "2"}}, never, cancelByDescriptor},
      {"two sends on one socket",
       {{"their bytes", "interleave"}},
       "the fake reports a second send as a violation",
       twoSends},
      {"linked sends, the first short",
       {{"first", "short"}, {"second", "goes out behind the hole"}},
       never,
       linkedSends},
      {"invalid entry inside a batch",
       {{"taken", "2"}, {"left", "1"}, {"taken with SUBMIT_ALL", "3"}, {"left with SUBMIT_ALL", "0"}},
       "the senders make no invalid entry",
       badEntryInBatch},
      {"another thread on a SINGLE_ISSUER ring",
       {{"result", "-EEXIST"}},
       "the fake has one thread",
       otherThread},
      {"the submitting thread dies with a blocked send",
       {{"before the peer reads", "none"}, {"after", "-ECANCELED"}},
       "the fake has one thread",
       threadDies},
      {"zero-copy send on loopback",
       {{"result", "all"}, {"more to come", "yes"}, {"notification", "yes"}},
       never,
       zeroCopy},
      {"-EAGAIN without MSG_DONTWAIT", {}, "comes only under load: the fault transient-eagain", nullptr},
      {"0 for a send of something", {}, "seen with SQPOLL only, not at will: the fault result-zero", nullptr},
      {"gaps while a peer reads steadily",
       {},
       "takes a minute: writable at a third is what they come from",
       nullptr},
      {"two flushes without TCP_NODELAY",
       {},
       "a matter of timing on the wire, which the fake has not",
       nullptr},
  };
}

}  // namespace ackgate::sim

#else

namespace ackgate::sim {

std::vector<LiveRow> liveRows() { return {}; }

}  // namespace ackgate::sim

#endif
