#pragma once

#include <memory>

#include "sender_core.h"

namespace ackgate {

/** Non-blocking `send(2)`: works wherever there are sockets. */
class PosixSender final : public SenderCore {
 public:
  PosixSender(const SenderConfig& config, SocketOps& sockets, std::unique_ptr<PollerOps> poller);
  ~PosixSender() override;

  int32_t open(uint32_t slot, uint32_t generation, int fd);
  int32_t flush(uint32_t count);
  int32_t reap() { return flush(0); }
  void close(uint32_t slot, uint32_t how);
  void park(double timeoutMs);
  int32_t destroy(double deadlineMs);

 private:
  void release(uint32_t slot) override;
  void answer(const Request& request);
  [[nodiscard]] int32_t sendNow(const Request& request);
  [[nodiscard]] int32_t armPoll(const Request& request);
  void collect();
  void publishState();

  std::unique_ptr<PollerOps> poller_;
  uint32_t armed_ = 0;
  bool destroyed_ = false;
};

}  // namespace ackgate
