#include "epoll_poller.h"

#if ACKGATE_LINUX

#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>

namespace ackgate {

std::unique_ptr<EpollPoller> EpollPoller::create(int* error) {
  const int fd = epoll_create1(EPOLL_CLOEXEC);
  *error = fd < 0 ? errno : 0;
  return std::unique_ptr<EpollPoller>(fd < 0 ? nullptr : new EpollPoller(fd));
}

EpollPoller::~EpollPoller() { EpollPoller::close(); }

int EpollPoller::arm(int fd, uint32_t slot, uint32_t generation, bool again) {
  epoll_event event{};
  event.events = EPOLLOUT | EPOLLONESHOT;
  event.data.u64 = encodeUserData(What::poll, slot, generation);
  return epoll_ctl(fd_, again ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

void EpollPoller::forget(int fd) {
  // Closing is not enough: while another descriptor of the socket is open, epoll would go on reporting it.
  epoll_ctl(fd_, EPOLL_CTL_DEL, fd, nullptr);
}

uint32_t EpollPoller::take(Readiness* out, uint32_t max) {
  std::array<epoll_event, 64> events{};
  const int wanted = static_cast<int>(std::min<uint32_t>(max, events.size()));
  const int count = epoll_wait(fd_, events.data(), wanted, 0);
  for (int i = 0; i < count; i++) {
    const epoll_event& event = events[static_cast<size_t>(i)];
    const uint64_t of = event.data.u64;
    out[i] = {slotOf(of), generationOf(of), static_cast<int32_t>(event.events)};
  }
  return count < 0 ? 0 : static_cast<uint32_t>(count);
}

void EpollPoller::sleep(int wakeFd, uint64_t timeoutNs) {
  std::array<pollfd, 2> sources{{{fd_, POLLIN, 0}, {wakeFd, POLLIN, 0}}};
  timespec timeout{};
  timeout.tv_sec = static_cast<time_t>(timeoutNs / 1000000000U);
  timeout.tv_nsec = static_cast<long>(timeoutNs % 1000000000U);
  ppoll(sources.data(), sources.size(), &timeout, nullptr);
}

void EpollPoller::close() {
  if (fd_ >= 0) {
    ::close(fd_);
    fd_ = -1;
  }
}

}  // namespace ackgate

#endif
