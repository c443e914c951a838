#include "owned_descriptors.h"

#include <cerrno>

#include "descriptors.h"

namespace ackgate {

OwnedDescriptors& OwnedDescriptors::instance() {
  // Never destroyed: Workers may still end while the process runs its static destructors.
  static auto* descriptors = new OwnedDescriptors;
  return *descriptors;
}

int OwnedDescriptors::own(const void* owner, int fd) { return own(owner, fd, nullptr, 0); }

int OwnedDescriptors::own(const void* owner, int fd, int32_t* word, int32_t value) {
  if (fd >= 0) {
    const std::lock_guard<std::mutex> lock(mutex_);
    entries_[fd] = {owner, word, value};
  }
  return fd;
}

int OwnedDescriptors::giveUp(int fd) {
  const std::lock_guard<std::mutex> lock(mutex_);
  return entries_.erase(fd) > 0 ? 0 : -EBADF;
}

int OwnedDescriptors::close(int fd) {
  const int unknown = giveUp(fd);
  return unknown != 0 ? unknown : closeDescriptor(fd);
}

void OwnedDescriptors::closeAll(const void* owner) {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (auto at = entries_.begin(); at != entries_.end();) {
    const auto& [fd, entry] = *at;
    if (entry.owner != owner) {
      ++at;
      continue;
    }
    if (entry.word != nullptr) {
      __atomic_store_n(entry.word, entry.value, __ATOMIC_SEQ_CST);
    }
    closeDescriptor(fd);
    at = entries_.erase(at);
  }
}

}  // namespace ackgate
