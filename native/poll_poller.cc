#include "poll_poller.h"

#include <algorithm>

namespace ackgate {

namespace {

constexpr uint64_t nsPerMs = 1000000;
/** Longest sleep, in milliseconds, while there are sockets that one call could not name. */
constexpr uint64_t unseenSleepMsMax = 5;
/** Not a descriptor; `poll` passes over it. */
constexpr int taken = -1;

}  // namespace

PollPoller::PollPoller(uint32_t slots, size_t perCall) : perCall_(perCall) {
  sources_.reserve(size_t{slots} + 1);
  owners_.reserve(size_t{slots} + 1);
  sources_.push_back({-1, POLLIN, 0});
  owners_.push_back({0, 0});
}

int PollPoller::arm(int fd, uint32_t slot, uint32_t generation, bool /*again*/) {
  sources_.push_back({fd, POLLOUT, 0});
  owners_.push_back({slot, generation});
  return 0;
}

void PollPoller::forget(int fd) {
  const auto found = std::find_if(sources_.begin() + 1, sources_.end(),
                                  [fd](const pollfd& source) { return source.fd == fd; });
  if (found != sources_.end()) {
    owners_.erase(owners_.begin() + (found - sources_.begin()));
    sources_.erase(found);
  }
}

uint32_t PollPoller::take(Readiness* out, uint32_t max) {
  uint32_t count = 0;
  for (size_t first = 1; first < sources_.size() && count < max; first += perCall_) {
    const size_t end = std::min(first + perCall_, sources_.size());
    if (::poll(&sources_[first], static_cast<nfds_t>(end - first), 0) <= 0) {
      continue;
    }
    for (size_t i = first; i < end && count < max; i++) {
      if (sources_[i].revents != 0) {
        out[count++] = {owners_[i].slot, owners_[i].generation, sources_[i].revents};
        sources_[i].fd = taken;
      }
    }
  }
  if (count > 0) {
    removeTaken();
  }
  return count;
}

void PollPoller::removeTaken() {
  // The others keep their order: whoever has waited longest is reported first.
  size_t kept = 1;
  for (size_t i = 1; i < sources_.size(); i++) {
    if (sources_[i].fd != taken) {
      sources_[kept] = sources_[i];
      owners_[kept++] = owners_[i];
    }
  }
  sources_.resize(kept);
  owners_.resize(kept);
}

void PollPoller::sleep(int wakeFd, uint64_t timeoutNs) {
  const size_t count = std::min(sources_.size(), perCall_ + 1);
  uint64_t timeoutMs = (timeoutNs + nsPerMs - 1) / nsPerMs;
  if (count < sources_.size()) {
    timeoutMs = std::min(timeoutMs, unseenSleepMsMax);
  }
  sources_[0] = {wakeFd, POLLIN, 0};
  ::poll(sources_.data(), static_cast<nfds_t>(count), static_cast<int>(timeoutMs));
}

void PollPoller::close() {
  sources_.resize(1);
  owners_.resize(1);
}

}  // namespace ackgate
