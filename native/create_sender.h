// How each sender is made from its configuration; the binding knows no more about them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "posix_sender.h"
#include "uring_sender.h"

namespace ackgate {

template <typename Sender>
struct Created {
  std::unique_ptr<Sender> sender;
  /** When there is none: the positive errno and the step that failed. */
  int error = 0;
  std::string stage;
  std::vector<std::string> features;
};

template <typename Sender>
Created<Sender> createSender(const SenderConfig& config);

template <>
Created<UringSender> createSender<UringSender>(const SenderConfig& config);
template <>
Created<PosixSender> createSender<PosixSender>(const SenderConfig& config);

}  // namespace ackgate
