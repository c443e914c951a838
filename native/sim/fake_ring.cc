#include "fake_ring.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace ackgate::sim {

namespace {

constexpr size_t noSocket = SIZE_MAX;

bool isRequest(uint64_t userData) { return whatOf(userData) == What::send || whatOf(userData) == What::poll; }

}  // namespace

FakeRing::~FakeRing() { FakeRing::close(); }

uint32_t FakeRing::prepare(const Submission* submissions, uint32_t count) {
  kernel_.count();
  uint32_t room = entries_ - static_cast<uint32_t>(staged_.size());
  if (count > 0 && kernel_.fires(Fault::ringFull)) {
    room = std::min(room, kernel_.below(count));
  }
  const uint32_t prepared = std::min(count, room);
  staged_.insert(staged_.end(), submissions, submissions + prepared);
  if (kernel_.fires(Fault::fence)) {
    kernel_.fence = 1;
  }
  return prepared;
}

int FakeRing::drawnError(uint32_t* count) {
  if (deadErrno != 0) {
    return deadErrno;
  }
  if (!submitErrors.empty()) {
    const int error = submitErrors.front();
    submitErrors.pop_front();
    return error;
  }
  if (kernel_.fires(Fault::submitFatal)) {
    const std::array<int, 4> fatal{ENOMEM, EBADF, EFAULT, ENXIO};
    const int error = fatal.at(kernel_.below(fatal.size()));
    deadErrno = kernel_.chance(500) ? error : 0;
    return error;
  }
  if (kernel_.fires(Fault::submitEagain)) {
    return EAGAIN;
  }
  if (kernel_.fires(Fault::submitEbusy)) {
    return EBUSY;
  }
  if (kernel_.fires(Fault::eintrBefore)) {
    return EINTR;
  }
  if (*count > 1 && kernel_.fires(Fault::submitPartial)) {
    *count = 1 + kernel_.below(*count - 1);
  }
  return 0;
}

SubmitOutcome FakeRing::submit() {
  kernel_.count();
  std::vector<Submission> round;
  round.swap(staged_);
  auto count = static_cast<uint32_t>(round.size());
  int error = drawnError(&count);
  if (error != 0) {
    refusals.insert(error);
    kernel_.trace(Event::submitFailed, static_cast<uint64_t>(error));
    return {0, error};
  }
  if (kernel_.fires(Fault::eintrAfter)) {
    error = EINTR;
  }
  for (uint32_t i = 0; i < count; i++) {
    take(round[i]);
  }
  if (busyKernel) {
    progress();
  }
  roundsTaken++;
  largestRound = std::max(largestRound, count);
  if (error == 0) {
    bringIn();
  }
  return {count, error};
}

void FakeRing::take(const Submission& submission) {
  kernel_.trace(Event::submitted, submission.userData, submission.length);
  const What what = whatOf(submission.userData);
  if (what == What::cancelSend || what == What::cancelPoll || what == What::cancelWake) {
    cancel(submission);
    return;
  }
  if (isRequest(submission.userData)) {
    owed_++;
    sendsTaken += what == What::send ? 1 : 0;
    if (checked) {
      check(submission);
    }
  }
  start(submission);
}

void FakeRing::check(const Submission& submission) {
  if (__atomic_load_n(&kernel_.fence, __ATOMIC_SEQ_CST) != 0) {
    kernel_.violate("I10", "a request submitted after the fence");
  }
  const auto file = files_.find(slotOf(submission.userData));
  if (file == files_.end() || file->second != kernel_.idOf(submission.fd)) {
    kernel_.violate("I06", "a request for a file that is not registered");
  }
  const FakeSocket& socket = kernel_.socket(submission.fd);
  if (socket.wasReset || socket.writesEnded) {
    kernel_.violate("I06", "a request submitted after its connection was ended");
  }
  const bool doubled = std::any_of(armed_.begin(), armed_.end(), [&](const Armed& other) {
    return whatOf(other.submission.userData) == whatOf(submission.userData) &&
           slotOf(other.submission.userData) == slotOf(submission.userData);
  });
  if (doubled) {
    kernel_.violate("I02", "two requests of one kind under way on one slot: their bytes interleave");
  }
}

void FakeRing::start(const Submission& submission) {
  Armed armed{submission, noSocket, {}};
  if (isRequest(submission.userData)) {
    // The registered file counts, as it does in the kernel; the number is for rings without registered files.
    const auto file = files_.find(slotOf(submission.userData));
    if (file == files_.end()) {
      answer(submission.userData, -EBADF, false);
      return;
    }
    armed.socket = file->second;
  }
  const bool later = isRequest(submission.userData) && kernel_.fires(Fault::lateCompletion);
  const bool begun = !later || kernel_.chance(500);
  const int32_t result = begun ? attempt(armed, false) : -EAGAIN;
  if (begun && result != -EAGAIN) {
    answer(submission.userData, result, later);
    return;
  }
  const bool send = whatOf(submission.userData) == What::send;
  if (begun && send && kernel_.fires(Fault::transientEagain)) {
    answer(submission.userData, -EAGAIN, later);
    return;
  }
  if (send) {
    kernel_.reach(Reached::armedSend);
    armed.held = {submission.bytes, submission.length,
                  FakeKernel::hashOf(submission.bytes, submission.length)};
  }
  armed_.push_back(armed);
}

int32_t FakeRing::attempt(const Armed& armed, bool resumed) {
  const Submission& of = armed.submission;
  switch (whatOf(of.userData)) {
    case What::send: {
      FakeSocket& socket = kernel_.socketOf(armed.socket);
      // A send that waits is woken like a poll is.
      return resumed && !FakeKernel::writable(socket) ? -EAGAIN
                                                      : kernel_.transfer(&socket, of.bytes, of.length);
    }
    case What::poll:
      return FakeKernel::writable(kernel_.socketOf(armed.socket)) ? POLLOUT : -EAGAIN;
    default:
      return kernel_.wakes > 0 ? POLLIN : -EAGAIN;
  }
}

void FakeRing::progress() {
  if (frozen) {
    return;
  }
  std::vector<Armed> before;
  before.swap(armed_);
  // Nobody promises an order.
  const size_t first = before.empty() ? 0 : kernel_.below(static_cast<uint32_t>(before.size()));
  for (size_t i = 0; i < before.size(); i++) {
    goOn(before[(first + i) % before.size()]);
  }
}

void FakeRing::goOn(const Armed& armed) {
  const bool send = whatOf(armed.submission.userData) == What::send;
  if (send && FakeKernel::writable(kernel_.socketOf(armed.socket))) {
    static_cast<void>(kernel_.unchanged(armed.held));
  }
  const int32_t result = attempt(armed, true);
  if (result == -EAGAIN) {
    armed_.push_back(armed);
  } else {
    answer(armed.submission.userData, result, true);
  }
}

void FakeRing::cancel(const Submission& submission) {
  const auto target = std::find_if(armed_.begin(), armed_.end(), [&](const Armed& other) {
    return other.submission.userData == submission.target;
  });
  if (target == armed_.end()) {
    kernel_.reach(Reached::cancelNotFound);
    answer(submission.userData, -ENOENT, false);
    return;
  }
  const bool late = kernel_.fires(Fault::delayedCancel);
  if (frozen || (late && kernel_.chance(500))) {
    answer(submission.userData, -EALREADY, kernel_.chance(500));
    return;
  }
  kernel_.reach(Reached::cancelHit);
  const Armed canceled = *target;
  armed_.erase(target);
  if (whatOf(canceled.submission.userData) == What::send) {
    static_cast<void>(kernel_.unchanged(canceled.held));
  }
  // The order of the two answers is not fixed.
  const bool first = kernel_.chance(500);
  if (first) {
    answer(submission.userData, 0, false);
  }
  answer(canceled.submission.userData, -ECANCELED, late);
  if (!first) {
    answer(submission.userData, 0, false);
  }
}

void FakeRing::answer(uint64_t userData, int32_t result, bool late) {
  if (late) {
    late_.push_back({userData, result});
    return;
  }
  const bool full = queue_.size() >= completionEntries_ || !overflow_.empty();
  if (full || kernel_.fires(Fault::completionOverflow)) {
    kernel_.reach(Reached::overflow);
    overflow_.push_back({userData, result});
    overflows++;
  } else {
    queue_.push_back({userData, result});
  }
}

void FakeRing::bringIn() {
  while (!overflow_.empty() && queue_.size() < completionEntries_) {
    queue_.push_back(overflow_.front());
    overflow_.pop_front();
  }
  std::deque<Completion> late;
  late.swap(late_);
  for (const Completion& completion : late) {
    answer(completion.userData, completion.result, false);
  }
}

int FakeRing::getEvents() {
  kernel_.count();
  if (kernel_.fires(Fault::eintrWait)) {
    return EINTR;
  }
  bringIn();
  return 0;
}

int FakeRing::wait(uint64_t timeoutNs) {
  kernel_.count();
  if (kernel_.interruptWait || kernel_.fires(Fault::eintrWait)) {
    kernel_.interruptWait = false;
    return EINTR;
  }
  progress();
  bringIn();
  if (queue_.empty()) {
    kernel_.now += timeoutNs;
    return ETIME;
  }
  return 0;
}

uint32_t FakeRing::take(Completion* out, uint32_t max) {
  kernel_.count();
  uint32_t count = 0;
  for (; count < max && !queue_.empty(); count++) {
    out[count] = queue_.front();
    queue_.pop_front();
    owed_ -= isRequest(out[count].userData) ? 1 : 0;
    kernel_.trace(Event::completed, out[count].userData, static_cast<uint32_t>(out[count].result));
  }
  return count;
}

int FakeRing::registerFile(uint32_t slot, int fd) {
  kernel_.count();
  if (kernel_.fires(Fault::openRefused)) {
    return -ENOMEM;
  }
  files_[slot] = kernel_.idOf(fd);
  return 0;
}

void FakeRing::close() {
  if (closed_) {
    return;
  }
  closed_ = true;
  // Tear-down is asynchronous: until it is over the kernel may read.
  for (const Armed& armed : armed_) {
    if (whatOf(armed.submission.userData) == What::send) {
      kernel_.orphans.push_back(armed.held);
    }
  }
  armed_.clear();
}

}  // namespace ackgate::sim
