#pragma once

#include "kernel_ops.h"

namespace ackgate {

/** The real system calls. */
class SystemSocketOps final : public SocketOps {
 public:
  static SystemSocketOps& instance();

  int64_t send(int fd, const uint8_t* bytes, uint32_t length) override;
  int endWrites(int fd) override;
  int reset(int fd) override;
  int close(int fd) override;
  int queuedBytes(int fd) override;
  void clearWake(int fd) override;
  uint64_t nowNs() override;
};

}  // namespace ackgate
