#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sender_core.h"
#include "submission_queue.h"

namespace ackgate {

/**
 * Sends through an io_uring.
 *
 * Requests wait in queues of our own; only what is handed over in the same call is ever in the ring's
 * submission queue. So nothing can reach the kernel later than it should: not after a fence, and not with a
 * buffer that has changed since.
 */
class UringSender final : public SenderCore {
 public:
  UringSender(const SenderConfig& config, SocketOps& sockets, std::unique_ptr<RingOps> ring);
  ~UringSender() override;

  int32_t open(uint32_t slot, uint32_t generation, int fd);
  int32_t flush(uint32_t count);
  int32_t reap() { return flush(0); }
  void close(uint32_t slot, uint32_t how);
  void park(double timeoutMs);
  int32_t destroy(double deadlineMs);

 private:
  void release(uint32_t slot) override;
  void accept(const Request& request);
  void submitQueued();
  [[nodiscard]] uint32_t roundRoom();
  /** True when another round may follow. */
  bool submitRound(uint32_t room);
  void taken(uint32_t count, uint32_t internalPrepared);
  void cancelQueued();
  void cancelQueuedOf(uint32_t slot);
  void answerCanceled(const Submission& submission);
  void queueCancels(uint32_t slot);
  void queueCancel(What what, What target, uint32_t slot);
  uint32_t collect();
  uint32_t takeAll();
  void handle(const Completion& completion);
  void handleCancel(const Completion& completion, bool pending);
  void armWake();
  void publishState();

  std::unique_ptr<RingOps> ring_;
  /** Sends and polls that the kernel has not taken. */
  SubmissionQueue queued_;
  /** Cancels and the wake poll: they move no bytes, go first, and go after a fence too. */
  SubmissionQueue internal_;
  /** Entries that the kernel has taken and not answered; each owes one completion. */
  uint32_t inKernel_ = 0;
  /** Of these, sends and polls. */
  uint32_t underWay_ = 0;
  uint32_t overflows_ = 0;
  uint32_t interrupts_ = 0;
  int submitError_ = 0;
  int32_t held_ = 0;
  bool wakeArmed_ = false;
  bool destroyed_ = false;
};

}  // namespace ackgate
