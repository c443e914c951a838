#include "fake_poller.h"

#include <poll.h>

#include <cerrno>

namespace ackgate::sim {

int FakePoller::arm(int fd, uint32_t slot, uint32_t generation, bool again) {
  kernel_.count();
  if (again != (interests_.count(fd) > 0)) {
    kernel_.violate("I06", "write interest added twice, or changed before it was added");
  }
  if (!again && kernel_.fires(Fault::openRefused)) {
    return -ENOSPC;
  }
  kernel_.reach(Reached::armedPoll);
  interests_[fd] = {slot, generation, true};
  return 0;
}

void FakePoller::forget(int fd) {
  kernel_.count();
  if (interests_.count(fd) == 0 || !kernel_.socket(fd).open) {
    kernel_.violate("I06", "write interest outlived its descriptor");
  }
  interests_.erase(fd);
}

uint32_t FakePoller::take(Readiness* out, uint32_t max) {
  kernel_.count();
  uint32_t count = 0;
  for (auto& [fd, interest] : interests_) {
    if (!kernel_.socket(fd).open) {
      kernel_.violate("I06", "a descriptor closed while the poller knows it");
    }
    if (count < max && interest.armed && FakeKernel::writable(kernel_.socket(fd))) {
      if (kernel_.fires(Fault::lateCompletion)) {
        continue;
      }
      interest.armed = false;
      out[count++] = {interest.slot, interest.generation, POLLOUT};
      kernel_.trace(Event::ready, interest.slot, interest.generation);
    }
  }
  return count;
}

void FakePoller::sleep(int /*wakeFd*/, uint64_t timeoutNs) {
  kernel_.count();
  kernel_.now += timeoutNs;
}

}  // namespace ackgate::sim
