#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "fake_kernel.h"

namespace ackgate::sim {

/**
 * A submission and completion queue over the fake kernel.
 *
 * A send that cannot go on at once is armed and reads its bytes when it goes on, not when it was submitted.
 * It holds the socket itself, as the kernel holds the file: closing the descriptor does not end it.
 */
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

  /** What happens in the kernel by itself: armed requests that can go on do, and are answered late. */
  void progress();
  [[nodiscard]] size_t armed() const { return armed_.size(); }
  /** Sends and polls that were handed over, and not taken out of the queue again. */
  [[nodiscard]] uint32_t owed() const { return owed_; }

  /** Slots whose socket the kernel keeps open for the ring. */
  [[nodiscard]] uint32_t registered() const { return static_cast<uint32_t>(files_.size()); }

  /** Sends handed over so far, and submissions that came to nothing. */
  uint32_t sendsTaken = 0;
  uint32_t roundsTaken = 0;
  uint32_t largestRound = 0;
  uint32_t overflows = 0;
  /** Errors of the next submissions, before the drawn ones; 0 is none. */
  std::deque<int> submitErrors;
  /** What is armed is looked at while a submission runs, not only between calls. */
  bool busyKernel = false;
  /** Answers nothing by itself any more, and no cancel hits. */
  bool frozen = false;
  /** Every errno that a submission has failed with. */
  std::set<int> refusals;
  /** Takes no submission any more, with this errno; 0: it does. */
  int deadErrno = 0;
  /** A test of the kernel itself submits requests that a sender never would. */
  bool checked = true;

 private:
  struct Armed {
    Submission submission;
    size_t socket;
    HeldBytes held;
  };

  [[nodiscard]] int drawnError(uint32_t* count);
  void take(const Submission& submission);
  void check(const Submission& submission);
  void start(const Submission& submission);
  void goOn(const Armed& armed);
  [[nodiscard]] int32_t attempt(const Armed& armed, bool resumed);
  void cancel(const Submission& submission);
  void answer(uint64_t userData, int32_t result, bool late);
  void bringIn();

  FakeKernel& kernel_;
  uint32_t entries_;
  uint32_t completionEntries_;
  uint32_t owed_ = 0;
  std::vector<std::string> features_;
  std::vector<Submission> staged_;
  std::vector<Armed> armed_;
  std::deque<Completion> queue_;
  std::deque<Completion> overflow_;
  std::deque<Completion> late_;
  std::map<uint32_t, size_t> files_;
  bool closed_ = false;
};

}  // namespace ackgate::sim
