#include "fake_kernel.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>

namespace ackgate::test {

int FakeKernel::makeSocket(uint32_t room) {
  const int fd = nextFd_++;
  sockets_[fd].room = room;
  return fd;
}

size_t FakeKernel::openSockets() const {
  return static_cast<size_t>(
      std::count_if(sockets_.begin(), sockets_.end(), [](const auto& entry) { return entry.second.open; }));
}

bool FakeKernel::chance(int inThousand) {
  return inThousand > 0 && below(1000) < static_cast<uint32_t>(inThousand);
}

uint32_t FakeKernel::below(uint32_t bound) { return static_cast<uint32_t>(random_() % bound); }

int32_t FakeKernel::transfer(int fd, const uint8_t* bytes, uint32_t length) {
  FakeSocket& of = socket(fd);
  if (!of.open) {
    violations.emplace_back("a send on a closed descriptor");
    return -EBADF;
  }
  if (of.wasReset || of.writesEnded) {
    return -EPIPE;
  }
  if (length == 0) {
    return 0;
  }
  if (of.room == 0 || chance(faults.sendBlocked)) {
    return -EAGAIN;
  }
  uint32_t moved = std::min(length, of.room);
  if (chance(faults.shortSend)) {
    moved = 1 + below(moved);
  }
  of.room -= moved;
  of.received.insert(of.received.end(), bytes, bytes + moved);
  return static_cast<int32_t>(moved);
}

bool FakeKernel::writable(int fd) const {
  const FakeSocket& of = sockets_.at(fd);
  return of.room > 0 || of.wasReset || of.writesEnded;
}

int64_t FakeKernel::send(int fd, const uint8_t* bytes, uint32_t length) {
  if (fence != 0) {
    violations.emplace_back("a send after the fence");
  }
  return chance(faults.submitInterrupted) ? -EINTR : transfer(fd, bytes, length);
}

int FakeKernel::endWrites(int fd) {
  socket(fd).writesEnded = true;
  return 0;
}

int FakeKernel::reset(int fd) {
  socket(fd).wasReset = true;
  return 0;
}

int FakeKernel::close(int fd) {
  FakeSocket& of = socket(fd);
  if (!of.open) {
    violations.emplace_back("a descriptor closed twice");
  }
  of.open = false;
  return 0;
}

FakeRing::~FakeRing() { FakeRing::close(); }

uint32_t FakeRing::prepare(const Submission* submissions, uint32_t count) {
  const uint32_t room = entries_ - static_cast<uint32_t>(staged_.size());
  const uint32_t prepared = std::min(count, room);
  staged_.insert(staged_.end(), submissions, submissions + prepared);
  if (kernel_.chance(kernel_.faults.fence)) {
    kernel_.fence = 1;
  }
  return prepared;
}

SubmitOutcome FakeRing::submit() {
  std::vector<Submission> round;
  round.swap(staged_);
  int error = 0;
  if (!submitErrors.empty()) {
    error = submitErrors.front();
    submitErrors.pop_front();
  } else if (kernel_.chance(kernel_.faults.submitRefused)) {
    error = kernel_.chance(500) ? EAGAIN : EBUSY;
  }
  if (error != 0) {
    return {0, error};
  }
  auto count = static_cast<uint32_t>(round.size());
  if (kernel_.chance(kernel_.faults.submitPartial)) {
    count = kernel_.below(count + 1);
  }
  // An interruption may come before anything was taken, or after.
  if (kernel_.chance(kernel_.faults.submitInterrupted)) {
    error = EINTR;
    count = kernel_.chance(500) ? 0 : count;
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
  const What what = whatOf(submission.userData);
  if (what == What::cancelSend || what == What::cancelPoll || what == What::cancelWake) {
    cancel(submission);
    return;
  }
  if (what != What::wake) {
    if (kernel_.fence != 0) {
      kernel_.violations.emplace_back("a request submitted after the fence");
    }
    const auto file = files_.find(slotOf(submission.userData));
    if (file == files_.end() || file->second != submission.fd) {
      kernel_.violations.emplace_back("a request for a file that is not registered");
    }
    sendsTaken += what == What::send ? 1 : 0;
  }
  const bool doubled = std::any_of(armed_.begin(), armed_.end(), [&](const Submission& other) {
    return other.userData == submission.userData;
  });
  if (doubled) {
    kernel_.violations.emplace_back("two requests of one kind under way on one slot");
  }
  run(submission, true);
}

void FakeRing::run(const Submission& submission, bool inline_) {
  int32_t result = -EAGAIN;
  switch (whatOf(submission.userData)) {
    case What::send:
      result = kernel_.transfer(submission.fd, submission.bytes, submission.length);
      break;
    case What::poll:
      result = kernel_.writable(submission.fd) ? POLLOUT : -EAGAIN;
      break;
    default:
      result = kernel_.wakes > 0 ? POLLIN : -EAGAIN;
  }
  if (result == -EAGAIN) {
    armed_.push_back(submission);
  } else {
    answer(submission.userData, result, !inline_ || kernel_.chance(kernel_.faults.lateAnswer));
  }
}

void FakeRing::progress() {
  if (frozen) {
    return;
  }
  std::vector<Submission> before;
  before.swap(armed_);
  for (const Submission& submission : before) {
    run(submission, false);
  }
}

void FakeRing::cancel(const Submission& submission) {
  const auto target = std::find_if(armed_.begin(), armed_.end(), [&](const Submission& other) {
    return other.userData == submission.target;
  });
  if (target == armed_.end()) {
    answer(submission.userData, -ENOENT, false);
  } else if (kernel_.chance(kernel_.faults.cancelMisses)) {
    answer(submission.userData, -EALREADY, kernel_.chance(500));
  } else {
    const uint64_t canceled = target->userData;
    armed_.erase(target);
    // The order of the two answers is not fixed.
    const bool first = kernel_.chance(500);
    if (first) {
      answer(submission.userData, 0, false);
    }
    answer(canceled, -ECANCELED, kernel_.chance(500));
    if (!first) {
      answer(submission.userData, 0, false);
    }
  }
}

void FakeRing::answer(uint64_t userData, int32_t result, bool late) {
  if (late) {
    late_.push_back({userData, result});
  } else if (queue_.size() >= completionEntries_ || !overflow_.empty()) {
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
  if (kernel_.chance(kernel_.faults.eventsInterrupted)) {
    return EINTR;
  }
  bringIn();
  return 0;
}

int FakeRing::wait(uint64_t timeoutNs) {
  progress();
  bringIn();
  if (queue_.empty()) {
    kernel_.now += timeoutNs;
    return ETIME;
  }
  return 0;
}

uint32_t FakeRing::take(Completion* out, uint32_t max) {
  uint32_t count = 0;
  for (; count < max && !queue_.empty(); count++) {
    out[count] = queue_.front();
    queue_.pop_front();
  }
  return count;
}

int FakeRing::registerFile(uint32_t slot, int fd) {
  files_[slot] = fd;
  return 0;
}

void FakeRing::close() {
  if (!closed_ && !armed_.empty()) {
    kernel_.violations.emplace_back("the ring closed while the kernel holds buffers");
  }
  closed_ = true;
}

int FakePoller::arm(int fd, uint32_t slot, uint32_t generation, bool again) {
  if (again != (interests_.count(fd) > 0)) {
    kernel_.violations.emplace_back("write interest added twice, or changed before it was added");
  }
  interests_[fd] = {slot, generation, true};
  return 0;
}

void FakePoller::forget(int fd) {
  if (!kernel_.socket(fd).open) {
    kernel_.violations.emplace_back("write interest outlived its descriptor");
  }
  interests_.erase(fd);
}

uint32_t FakePoller::take(Readiness* out, uint32_t max) {
  uint32_t count = 0;
  for (auto& [fd, interest] : interests_) {
    if (!kernel_.socket(fd).open) {
      kernel_.violations.emplace_back("a descriptor closed while the poller knows it");
    }
    if (count < max && interest.armed && kernel_.writable(fd)) {
      interest.armed = false;
      out[count++] = {interest.slot, interest.generation, POLLOUT};
    }
  }
  return count;
}

void FakePoller::sleep(int /*wakeFd*/, uint64_t timeoutNs) { kernel_.now += timeoutNs; }

}  // namespace ackgate::test
