#include "posix_sender.h"

#include <algorithm>
#include <array>
#include <cerrno>

#include "layout.h"
#include "park_time.h"

namespace ackgate {

namespace {

/** A send that signals keep interrupting is answered as not possible now rather than retried for ever. */
constexpr int interruptsMax = 64;

}  // namespace

PosixSender::PosixSender(const SenderConfig& config, SocketOps& sockets, std::unique_ptr<PollerOps> poller)
    : SenderCore(config, sockets), poller_(std::move(poller)) {}

PosixSender::~PosixSender() { destroy(0); }

int32_t PosixSender::open(uint32_t slot, uint32_t generation, int fd) {
  const int32_t refused = destroyed_ ? -ESHUTDOWN : occupy(slot, generation, fd);
  if (refused != 0) {
    sockets_.close(fd);
  }
  return refused;
}

int32_t PosixSender::flush(uint32_t count) {
  if (destroyed_) {
    return 0;
  }
  results_.begin();
  count = std::min(count, config_.requestsMax);
  for (uint32_t i = 0; i < count; i++) {
    answer(requestAt(i));
  }
  collect();
  finishClosing();
  publishState();
  return static_cast<int32_t>(results_.end());
}

void PosixSender::answer(const Request& request) {
  int32_t value = refusal(request);
  if (value == 0 && fenced()) {
    value = -ECANCELED;
  }
  if (value != 0) {
    results_.push(request.op, request.slot, request.generation, value);
    return;
  }
  if (request.op == layout::op::send) {
    slots_[request.slot].sendLength = request.length;
    pushSend(request.slot, sendNow(request));
    return;
  }
  value = armPoll(request);
  if (value != 0) {
    results_.push(request.op, request.slot, request.generation, value);
  }
}

int32_t PosixSender::sendNow(const Request& request) {
  for (int tries = 0; tries < interruptsMax; tries++) {
    const int64_t sent = sockets_.send(slots_[request.slot].fd, bytesOf(request), request.length);
    if (sent != -EINTR) {
      return static_cast<int32_t>(sent);
    }
  }
  return -EAGAIN;
}

int32_t PosixSender::armPoll(const Request& request) {
  Slot& slot = slots_[request.slot];
  const int error = poller_->arm(slot.fd, request.slot, request.generation, slot.polled);
  if (error == 0) {
    slot.polled = true;
    slot.polling = true;
    armed_++;
  }
  return error;
}

void PosixSender::close(uint32_t slot, uint32_t how) {
  if (destroyed_ || !isOpen(slot)) {
    return;
  }
  beginClose(slot, how);
  if (slots_[slot].polling) {
    armed_--;
    pushPoll(slot, -ECANCELED);
  }
}

void PosixSender::release(uint32_t slot) {
  if (slots_[slot].polled) {
    poller_->forget(slots_[slot].fd);
  }
}

void PosixSender::collect() {
  std::array<Readiness, 64> batch{};
  while (armed_ > 0 && results_.room() > 0) {
    const auto wanted = std::min<uint32_t>(results_.room(), batch.size());
    const uint32_t count = poller_->take(batch.data(), wanted);
    for (uint32_t i = 0; i < count; i++) {
      const Readiness& ready = batch[i];
      const Slot& slot = slots_[ready.slot];
      if (slot.polling && slot.generation == ready.generation) {
        armed_--;
        pushPoll(ready.slot, ready.events);
      }
    }
    if (count < wanted) {
      break;
    }
  }
}

void PosixSender::park(double timeoutMs) {
  if (destroyed_) {
    return;
  }
  collect();
  finishClosing();
  if (!results_.hasBacklog()) {
    poller_->sleep(config_.wakeFd, parkNs(timeoutMs));
  }
  sockets_.clearWake(config_.wakeFd);
  publishState();
}

int32_t PosixSender::destroy(double /*deadlineMs*/) {
  if (destroyed_) {
    return 0;
  }
  for (uint32_t slot = 0; slot < config_.slots; slot++) {
    if (slots_[slot].life == Slot::Life::open) {
      close(slot, howToAbandon(slots_[slot]));
    }
  }
  destroyed_ = true;
  finishClosing();
  results_.discard();
  poller_->close();
  publishState();
  return 0;
}

void PosixSender::publishState() {
  setState(layout::state::submitErrno, 0);
  setState(layout::state::unsubmitted, 0);
  setState(layout::state::underWay, armed_);
  setState(layout::state::more, results_.hasBacklog() ? 1 : 0);
}

}  // namespace ackgate
