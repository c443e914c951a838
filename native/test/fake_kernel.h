// A kernel in memory, driven by a seed: sockets with little room, a ring that refuses, interrupts, overflows
// and answers late, a poller. It keeps the rules that the real one can only suffer from: two sends at once on
// a socket, a submission after a fence, a descriptor closed twice or while requests name it.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "../kernel_ops.h"

namespace ackgate::test {

/** Chances in 1,000 that something goes wrong, each drawn on its own. */
struct Faults {
  int submitRefused = 0;
  int submitInterrupted = 0;
  int submitPartial = 0;
  int eventsInterrupted = 0;
  int shortSend = 0;
  int sendBlocked = 0;
  int lateAnswer = 0;
  int cancelMisses = 0;
  int fence = 0;
};

struct FakeSocket {
  std::vector<uint8_t> received;
  uint32_t room = 1U << 20U;
  bool writesEnded = false;
  bool wasReset = false;
  bool open = true;
};

class FakeKernel final : public SocketOps {
 public:
  explicit FakeKernel(uint64_t seed) : random_(seed) {}

  int makeSocket(uint32_t room);
  FakeSocket& socket(int fd) { return sockets_.at(fd); }
  [[nodiscard]] size_t openSockets() const;
  [[nodiscard]] bool chance(int inThousand);
  uint32_t below(uint32_t bound);

  int64_t send(int fd, const uint8_t* bytes, uint32_t length) override;
  int endWrites(int fd) override;
  int reset(int fd) override;
  int close(int fd) override;
  int queuedBytes(int /*fd*/) override { return 0; }
  void clearWake(int /*fd*/) override { wakes = 0; }
  uint64_t nowNs() override { return now += 1000000; }

  /** What a non-blocking send moves, as the kernel would return it. */
  int32_t transfer(int fd, const uint8_t* bytes, uint32_t length);
  [[nodiscard]] bool writable(int fd) const;

  Faults faults;
  int32_t fence = 0;
  uint32_t wakes = 0;
  uint64_t now = 0;
  /** Rules that were broken; a test expects none. */
  std::vector<std::string> violations;

 private:
  std::mt19937_64 random_;
  std::map<int, FakeSocket> sockets_;
  int nextFd_ = 100;
};

class FakeRing final : public RingOps {
 public:
  FakeRing(FakeKernel& kernel, uint32_t entries, uint32_t completionEntries)
      : kernel_(kernel), entries_(entries), completionEntries_(completionEntries) {}
  ~FakeRing() override;

  [[nodiscard]] uint32_t entries() const override { return entries_; }
  [[nodiscard]] uint32_t completionEntries() const override { return completionEntries_; }
  [[nodiscard]] const std::vector<std::string>& features() const override { return features_; }
  uint32_t prepare(const Submission* submissions, uint32_t count) override;
  void rewind() override { staged_.clear(); }
  SubmitOutcome submit() override;
  bool needsEnter() override { return !overflow_.empty() || !late_.empty(); }
  bool overflowed() override { return !overflow_.empty(); }
  int getEvents() override;
  int wait(uint64_t timeoutNs) override;
  uint32_t take(Completion* out, uint32_t max) override;
  bool ready() override { return !queue_.empty(); }
  int registerFile(uint32_t slot, int fd) override;
  void unregisterFile(uint32_t slot) override { files_.erase(slot); }
  void close() override;

  /** What happens in the kernel by itself: armed requests whose socket is ready are answered, late. */
  void progress();
  [[nodiscard]] size_t armed() const { return armed_.size(); }

  /** Sends handed over so far, and submissions that came to nothing. */
  uint32_t sendsTaken = 0;
  uint32_t roundsTaken = 0;
  uint32_t largestRound = 0;
  uint32_t overflows = 0;
  /** Errors of the next submissions, before the drawn ones; 0 is none. */
  std::deque<int> submitErrors;
  /** What is armed is looked at while a submission runs, not only between calls. */
  bool busyKernel = false;
  /** Answers nothing by itself any more. */
  bool frozen = false;

 private:
  void take(const Submission& submission);
  void run(const Submission& submission, bool inline_);
  void cancel(const Submission& submission);
  void answer(uint64_t userData, int32_t result, bool late);
  void bringIn();

  FakeKernel& kernel_;
  uint32_t entries_;
  uint32_t completionEntries_;
  std::vector<std::string> features_;
  std::vector<Submission> staged_;
  std::vector<Submission> armed_;
  std::deque<Completion> queue_;
  std::deque<Completion> overflow_;
  std::deque<Completion> late_;
  std::map<uint32_t, int> files_;
  bool closed_ = false;
};

class FakePoller final : public PollerOps {
 public:
  explicit FakePoller(FakeKernel& kernel) : kernel_(kernel) {}

  int arm(int fd, uint32_t slot, uint32_t generation, bool again) override;
  void forget(int fd) override;
  uint32_t take(Readiness* out, uint32_t max) override;
  void sleep(int wakeFd, uint64_t timeoutNs) override;
  void close() override {}

 private:
  struct Interest {
    uint32_t slot;
    uint32_t generation;
    bool armed;
  };

  FakeKernel& kernel_;
  std::map<int, Interest> interests_;
};

}  // namespace ackgate::test
