#include "uring_sender.h"

#include <algorithm>
#include <array>
#include <cerrno>

#include "layout.h"
#include "park_time.h"

namespace ackgate {

namespace {

/** A call that signals keep interrupting is given up for now; the next call goes on. */
constexpr uint32_t interruptsMax = 64;
/** Sleep while requests wait that the kernel refused: nothing tells when it will take them. */
constexpr uint64_t refusedParkNs = 1000000;
constexpr uint64_t destroyWaitNs = 10000000;
/** For whoever forgot to destroy: as long as the clean-up of an environment gets. */
constexpr double abandonedMs = 1000;

}  // namespace

UringSender::UringSender(const SenderConfig& config, SocketOps& sockets, std::unique_ptr<RingOps> ring)
    : SenderCore(config, sockets),
      ring_(std::move(ring)),
      queued_(static_cast<size_t>(config.slots) * 2),
      internal_(static_cast<size_t>(config.slots) * 2 + 2) {}

UringSender::~UringSender() { destroy(abandonedMs); }

int32_t UringSender::open(uint32_t slot, uint32_t generation, int fd) {
  int32_t error = destroyed_ ? -ESHUTDOWN : occupy(slot, generation, fd);
  if (error == 0) {
    error = ring_->registerFile(slot, fd);
    if (error != 0) {
      slots_[slot] = Slot{};
    }
  }
  if (error != 0) {
    sockets_.close(fd);
  }
  return error;
}

int32_t UringSender::flush(uint32_t count) {
  if (destroyed_) {
    return 0;
  }
  results_.begin();
  count = std::min(count, config_.requestsMax);
  for (uint32_t i = 0; i < count; i++) {
    accept(requestAt(i));
  }
  submitQueued();
  collect();
  finishClosing();
  publishState();
  return static_cast<int32_t>(results_.end());
}

void UringSender::accept(const Request& request) {
  const int32_t refused = refusal(request);
  if (refused != 0) {
    results_.push(request.op, request.slot, request.generation, refused);
    return;
  }
  Slot& slot = slots_[request.slot];
  Submission submission{};
  submission.fd = slot.fd;
  if (request.op == layout::op::send) {
    slot.sending = true;
    slot.sendLength = request.length;
    submission.bytes = bytesOf(request);
    submission.length = request.length;
  } else {
    slot.polling = true;
  }
  submission.userData = encodeUserData(static_cast<What>(request.op), request.slot, request.generation);
  queued_.push(submission);
}

void UringSender::submitQueued() {
  submitError_ = 0;
  interrupts_ = 0;
  while (!queued_.empty() || !internal_.empty()) {
    const uint32_t room = roundRoom();
    if (room == 0 || !submitRound(room)) {
      break;
    }
  }
}

uint32_t UringSender::roundRoom() {
  const uint32_t wanted = std::min(internal_.size() + queued_.size(), ring_->entries());
  const auto credits = [this] {
    const uint32_t places = ring_->completionEntries();
    return inKernel_ < places ? places - inKernel_ : 0;
  };
  if (credits() < wanted) {
    collect();
  }
  if (credits() > 0) {
    return std::min(wanted, credits());
  }
  // Every place in the completion queue is owed to a peer that may never read. Holding the others up for that
  // would be worse than an overflow, which loses nothing.
  return results_.room() > 0 ? wanted : 0;
}

bool UringSender::submitRound(uint32_t room) {
  const uint32_t internal = ring_->prepare(internal_.data(), std::min(internal_.size(), room));
  const uint32_t sends = ring_->prepare(queued_.data(), std::min(queued_.size(), room - internal));
  if (sends > 0 && fenced()) {
    ring_->rewind();
    cancelQueued();
    return true;
  }
  if (internal + sends == 0) {
    submitError_ = EAGAIN;
    return false;
  }
  const SubmitOutcome outcome = ring_->submit();
  taken(outcome.consumed, internal);
  if (outcome.consumed > 0) {
    // Whatever the call said, it got further; if an error stands, the next round meets it.
    return true;
  }
  if (outcome.error == EINTR && ++interrupts_ < interruptsMax) {
    return true;
  }
  submitError_ = outcome.error == 0 ? EAGAIN : outcome.error;
  const bool transient = submitError_ == EAGAIN || submitError_ == EBUSY;
  if (transient && collect() > 0) {
    submitError_ = 0;
    return true;
  }
  return false;
}

void UringSender::taken(uint32_t count, uint32_t internalPrepared) {
  const uint32_t internal = std::min(count, internalPrepared);
  inKernel_ += count;
  underWay_ += count - internal;
  internal_.pop(internal);
  queued_.pop(count - internal);
}

void UringSender::cancelQueued() {
  for (uint32_t i = 0; i < queued_.size(); i++) {
    answerCanceled(queued_[i]);
  }
  queued_.clear();
}

void UringSender::cancelQueuedOf(uint32_t slot) {
  queued_.removeIf([slot](const Submission& queued) { return slotOf(queued.userData) == slot; },
                   [this](const Submission& queued) { answerCanceled(queued); });
}

void UringSender::answerCanceled(const Submission& submission) {
  const uint32_t slot = slotOf(submission.userData);
  if (whatOf(submission.userData) == What::send) {
    pushSend(slot, -ECANCELED);
  } else {
    pushPoll(slot, -ECANCELED);
  }
}

void UringSender::close(uint32_t slot, uint32_t how) {
  if (destroyed_ || !isOpen(slot)) {
    return;
  }
  cancelQueuedOf(slot);
  beginClose(slot, how);
  queueCancels(slot);
}

void UringSender::queueCancels(uint32_t slot) {
  if (slots_[slot].sending) {
    queueCancel(What::cancelSend, What::send, slot);
  }
  if (slots_[slot].polling) {
    queueCancel(What::cancelPoll, What::poll, slot);
  }
}

void UringSender::queueCancel(What what, What target, uint32_t slot) {
  const uint32_t generation = target == What::wake ? 0 : slots_[slot].generation;
  Submission submission{};
  submission.userData = encodeUserData(what, slot, generation);
  submission.target = encodeUserData(target, slot, generation);
  submission.fd = -1;
  internal_.push(submission);
}

void UringSender::release(uint32_t slot) { ring_->unregisterFile(slot); }

uint32_t UringSender::collect() {
  uint32_t handled = takeAll();
  while (results_.room() > 0 && ring_->needsEnter()) {
    if (ring_->overflowed()) {
      overflows_++;
    }
    const int error = ring_->getEvents();
    if (error == EINTR && ++interrupts_ < interruptsMax) {
      continue;
    }
    if (error != 0) {
      // Not EAGAIN's kind: what the kernel owes cannot be had, and the stage has to know.
      submitError_ = error == EINTR || error == EBUSY ? submitError_ : error;
      break;
    }
    const uint32_t count = takeAll();
    handled += count;
    if (count == 0) {
      break;
    }
  }
  return handled;
}

uint32_t UringSender::takeAll() {
  // Copied out first, then acted on: nothing that a result sets off can touch the queue it came from.
  std::array<Completion, 64> batch;
  uint32_t handled = 0;
  while (results_.room() > 0) {
    const auto wanted = std::min<uint32_t>(results_.room(), batch.size());
    const uint32_t count = ring_->take(batch.data(), wanted);
    for (uint32_t i = 0; i < count; i++) {
      handle(batch[i]);
    }
    handled += count;
    if (count < wanted) {
      break;
    }
  }
  return handled;
}

void UringSender::handle(const Completion& completion) {
  inKernel_--;
  const uint32_t slot = slotOf(completion.userData);
  const What what = whatOf(completion.userData);
  switch (what) {
    case What::wake:
      wakeArmed_ = false;
      return;
    case What::cancelWake:
      // Missed, as below; teardown waits for it.
      if (wakeArmed_ && completion.result < 0 && completion.result != -ENOENT) {
        queueCancel(What::cancelWake, What::wake, 0);
      }
      return;
    case What::send:
    case What::poll:
      underWay_--;
      break;
    case What::cancelSend:
    case What::cancelPoll:
      break;
  }
  // A slot is free only when the kernel holds nothing of it; only cancels can come later than that.
  if (slots_[slot].generation != generationOf(completion.userData)) {
    return;
  }
  switch (what) {
    case What::send:
      pushSend(slot, completion.result);
      return;
    case What::poll:
      pushPoll(slot, completion.result);
      return;
    default:
      handleCancel(completion, what == What::cancelSend ? slots_[slot].sending : slots_[slot].polling);
  }
}

void UringSender::handleCancel(const Completion& completion, bool pending) {
  const uint32_t slot = slotOf(completion.userData);
  // 0: its answer comes. ENOENT: it has come, or is on its way. Else it was running just then: ask again.
  if (pending && slots_[slot].life == Slot::Life::closing && completion.result < 0 &&
      completion.result != -ENOENT) {
    const bool send = whatOf(completion.userData) == What::cancelSend;
    queueCancel(whatOf(completion.userData), send ? What::send : What::poll, slot);
  }
}

void UringSender::armWake() {
  Submission submission{};
  submission.userData = encodeUserData(What::wake, 0, 0);
  submission.fd = config_.wakeFd;
  internal_.push(submission);
  wakeArmed_ = true;
}

void UringSender::park(double timeoutMs) {
  if (destroyed_) {
    return;
  }
  // Armed for good until it fires: a wake written at any time since the last one is seen here.
  if (!wakeArmed_) {
    armWake();
  }
  submitQueued();
  collect();
  finishClosing();
  if (!results_.hasBacklog() && wakeArmed_) {
    const bool refused = !queued_.empty() || !internal_.empty();
    const uint64_t ns = parkNs(timeoutMs);
    ring_->wait(refused ? std::min(ns, refusedParkNs) : ns);
    collect();
    finishClosing();
  }
  sockets_.clearWake(config_.wakeFd);
  publishState();
}

int32_t UringSender::destroy(double deadlineMs) {
  if (destroyed_) {
    return held_;
  }
  for (uint32_t slot = 0; slot < config_.slots; slot++) {
    if (slots_[slot].life == Slot::Life::open) {
      close(slot, howToAbandon(slots_[slot]));
    }
  }
  destroyed_ = true;
  cancelQueued();
  if (wakeArmed_) {
    queueCancel(What::cancelWake, What::wake, 0);
  }
  const uint64_t startNs = sockets_.nowNs();
  const auto deadlineNs = startNs + static_cast<uint64_t>(std::max(deadlineMs, 0.0) * 1e6);
  for (;;) {
    submitQueued();
    collect();
    finishClosing();
    results_.discard();
    const uint64_t nowNs = sockets_.nowNs();
    if ((inKernel_ == 0 && closing_.empty()) || nowNs >= deadlineNs) {
      break;
    }
    ring_->wait(std::min(destroyWaitNs, deadlineNs - nowNs));
  }
  held_ = static_cast<int32_t>(closing_.size());
  for (const uint32_t slot : closing_) {
    release(slot);
    sockets_.close(slots_[slot].fd);
  }
  closing_.clear();
  ring_->close();
  publishState();
  return held_;
}

void UringSender::publishState() {
  setState(layout::state::submitErrno, static_cast<uint32_t>(submitError_));
  setState(layout::state::unsubmitted, queued_.size());
  setState(layout::state::underWay, underWay_);
  setState(layout::state::overflows, overflows_);
  // `ready` is asked only when the table is full: then completions were left where they are.
  const bool full = results_.room() == 0 && (ring_->ready() || ring_->needsEnter());
  setState(layout::state::more, results_.hasBacklog() || full ? 1 : 0);
}

}  // namespace ackgate
