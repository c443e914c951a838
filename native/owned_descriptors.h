#pragma once

#include <cstdint>
#include <map>
#include <mutex>

namespace ackgate {

/**
 * Descriptors that were made for an owner and are neither closed nor handed to a sender yet.
 *
 * An owner, one per environment, can end at any moment, as a Worker that is terminated does: what it still
 * has is closed then. Everything else closes or takes only what stands here, so that no descriptor is closed
 * twice, when its number may be a stranger's.
 */
class OwnedDescriptors {
 public:
  static OwnedDescriptors& instance();

  /** Notes a new descriptor; a negative errno is passed through. */
  int own(const void* owner, int fd);

  /** The same; `word`, unless null, is set to `value` before the descriptor is closed with its owner. */
  int own(const void* owner, int fd, int32_t* word, int32_t value);

  /** Takes a descriptor out, to be closed by someone else: 0, or -EBADF when it is nobody's. */
  int giveUp(int fd);

  /** Closes one. */
  int close(int fd);

  /** The owner ends. */
  void closeAll(const void* owner);

 private:
  struct Entry {
    const void* owner;
    int32_t* word;
    int32_t value;
  };

  std::mutex mutex_;
  std::map<int, Entry> entries_;
};

}  // namespace ackgate
