#include "sender_core.h"

#include <cerrno>

#include "layout.h"
#include "pages.h"

namespace ackgate {

SenderCore::SenderCore(const SenderConfig& config, SocketOps& sockets)
    : config_(config),
      sockets_(sockets),
      slots_(config.slots),
      results_(config.results, config.resultsMax, config.slots) {
  closing_.reserve(config.slots);
  refuseHugePages(config.arena, static_cast<size_t>(config.slots) * layout::sendBufferBytes);
}

int32_t SenderCore::queuedBytes(uint32_t slot) {
  return isOpen(slot) ? sockets_.queuedBytes(slots_[slot].fd) : -EBADF;
}

void SenderCore::releasePages(uint32_t slot) {
  if (slot >= config_.slots || slots_[slot].sending) {
    return;
  }
  giveBackPages(config_.arena + static_cast<size_t>(slot) * layout::sendBufferBytes, layout::sendBufferBytes);
}

Request SenderCore::requestAt(uint32_t index) const {
  const uint32_t* words = config_.requests + static_cast<size_t>(index) * layout::requestWords;
  return {words[layout::request::op], words[layout::request::slot], words[layout::request::generation],
          words[layout::request::offset], words[layout::request::length]};
}

int32_t SenderCore::refusal(const Request& request) const {
  if (request.slot >= config_.slots) {
    return -EINVAL;
  }
  const Slot& slot = slots_[request.slot];
  if (slot.life == Slot::Life::free || slot.generation != request.generation) {
    return -EBADF;
  }
  if (slot.life == Slot::Life::closing) {
    return -ECANCELED;
  }
  switch (request.op) {
    case layout::op::send:
      if (request.offset > layout::sendBufferBytes ||
          request.length > layout::sendBufferBytes - request.offset) {
        return -EFAULT;
      }
      return slot.sending ? -EBUSY : 0;
    case layout::op::poll:
      return slot.polling ? -EBUSY : 0;
    default:
      return -EINVAL;
  }
}

const uint8_t* SenderCore::bytesOf(const Request& request) const {
  return config_.arena + static_cast<size_t>(request.slot) * layout::sendBufferBytes + request.offset;
}

bool SenderCore::isOpen(uint32_t slot) const {
  return slot < config_.slots && slots_[slot].life == Slot::Life::open;
}

int32_t SenderCore::occupy(uint32_t slot, uint32_t generation, int fd) {
  if (slot >= config_.slots) {
    return -EINVAL;
  }
  if (slots_[slot].life != Slot::Life::free) {
    return -EBUSY;
  }
  slots_[slot] = Slot{};
  slots_[slot].fd = fd;
  slots_[slot].generation = generation;
  slots_[slot].life = Slot::Life::open;
  return 0;
}

void SenderCore::pushSend(uint32_t slot, int32_t value) {
  Slot& of = slots_[slot];
  of.sending = false;
  if (value > 0) {
    of.cutShort = static_cast<uint32_t>(value) != of.sendLength;
  }
  results_.push(layout::op::send, slot, of.generation, value);
}

void SenderCore::pushPoll(uint32_t slot, int32_t value) {
  slots_[slot].polling = false;
  results_.push(layout::op::poll, slot, slots_[slot].generation, value);
}

void SenderCore::beginClose(uint32_t slot, uint32_t how) {
  Slot& of = slots_[slot];
  of.life = Slot::Life::closing;
  closing_.push_back(slot);
  // The peer may be gone already: nothing that these return changes what happens next.
  if (how == layout::how::orderly) {
    sockets_.endWrites(of.fd);
  } else {
    sockets_.reset(of.fd);
  }
}

uint32_t SenderCore::howToAbandon(const Slot& slot) {
  return slot.busy() || slot.cutShort ? layout::how::reset : layout::how::orderly;
}

void SenderCore::finishClosing() {
  size_t kept = 0;
  for (const uint32_t slot : closing_) {
    Slot& of = slots_[slot];
    if (of.busy()) {
      closing_[kept++] = slot;
      continue;
    }
    release(slot);
    sockets_.close(of.fd);
    of.fd = -1;
    of.life = Slot::Life::free;
    results_.push(layout::op::closed, slot, of.generation, 0);
  }
  closing_.resize(kept);
}

void SenderCore::setState(uint32_t word, uint32_t value) const {
  config_.state[word] = static_cast<int32_t>(value);
}

}  // namespace ackgate
