#include "create_sender.h"

#include "epoll_poller.h"
#include "liburing_ring.h"
#include "poll_poller.h"
#include "socket_ops.h"

namespace ackgate {

namespace {

/** The best that the system has. Null, and a positive errno, when the kernel refuses it. */
std::unique_ptr<PollerOps> createPoller([[maybe_unused]] uint32_t slots, int* error) {
#if ACKGATE_LINUX
  return EpollPoller::create(error);
#else
  *error = 0;
  return std::make_unique<PollPoller>(slots);
#endif
}

constexpr const char* pollerName = ACKGATE_LINUX ? "epoll" : "poll";

}  // namespace

template <>
Created<UringSender> createSender<UringSender>(const SenderConfig& config) {
  RingReport report;
  auto ring = createLiburingRing({config.ringEntries, config.slots, config.sqpoll}, &report);
  if (ring == nullptr) {
    return {nullptr, report.error, report.stage, {}};
  }
  auto sender = std::make_unique<UringSender>(config, SystemSocketOps::instance(), std::move(ring));
  return {std::move(sender), 0, "", report.features};
}

template <>
Created<PosixSender> createSender<PosixSender>(const SenderConfig& config) {
  int error = 0;
  auto poller = createPoller(config.slots, &error);
  if (poller == nullptr) {
    return {nullptr, error, "setup", {}};
  }
  auto sender = std::make_unique<PosixSender>(config, SystemSocketOps::instance(), std::move(poller));
  return {std::move(sender), 0, "", {pollerName}};
}

}  // namespace ackgate
