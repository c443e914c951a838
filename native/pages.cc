#include "pages.h"

#include <sys/mman.h>
#include <unistd.h>

#include "platform.h"

namespace ackgate {

namespace {

// Elsewhere MADV_DONTNEED gives nothing back. MADV_FREE leaves it to the kernel when, so the old bytes may
// stay.
#if ACKGATE_LINUX
constexpr int giveBack = MADV_DONTNEED;
#elif defined(MADV_FREE)
constexpr int giveBack = MADV_FREE;
#else
constexpr int giveBack = MADV_NORMAL;
#endif

}  // namespace

size_t pageBytes() {
  static const auto bytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

// Both are advice: a kernel that refuses it costs memory, never correctness.

void refuseHugePages(uint8_t* start, size_t bytes) {
#ifdef MADV_NOHUGEPAGE
  madvise(start, bytes, MADV_NOHUGEPAGE);
#else
  static_cast<void>(start);
  static_cast<void>(bytes);
#endif
}

void giveBackPages(uint8_t* start, size_t bytes) {
  if (bytes > pageBytes()) {
    madvise(start + pageBytes(), bytes - pageBytes(), giveBack);
  }
}

}  // namespace ackgate
