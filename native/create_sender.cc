#include "create_sender.h"

#include "liburing_ring.h"
#include "poller.h"
#include "socket_ops.h"

namespace ackgate {

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
  auto poller = EpollPoller::create(&error);
  if (poller == nullptr) {
    return {nullptr, error, "setup", {}};
  }
  auto sender = std::make_unique<PosixSender>(config, SystemSocketOps::instance(), std::move(poller));
  return {std::move(sender), 0, "", {"epoll"}};
}

}  // namespace ackgate
