#include "fake_kernel.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace ackgate::sim {

namespace {

constexpr int firstFd = 100;
/** What no page is mapped at. */
constexpr uintptr_t lowestAddress = 4096;

}  // namespace

int FakeKernel::makeSocket(uint32_t room, uint32_t capacity) {
  FakeSocket& of = sockets_.emplace_back();
  of.room = room;
  of.capacity = capacity;
  return newDescriptor(sockets_.size() - 1, false);
}

int FakeKernel::makeStranger() {
  sockets_.emplace_back();
  return newDescriptor(sockets_.size() - 1, true);
}

void FakeKernel::closeStranger(int fd) { descriptors_.at(static_cast<size_t>(fd)).open = false; }

int FakeKernel::newDescriptor(size_t socket, bool stranger) {
  descriptors_.resize(std::max<size_t>(descriptors_.size(), firstFd));
  size_t fd = descriptors_.size();
  if (faults[Fault::fdReuse] > 0) {
    // The lowest free number, as the real one gives it.
    for (size_t i = firstFd; i < fd; i++) {
      if (!descriptors_[i].open) {
        fired[static_cast<size_t>(Fault::fdReuse)]++;
        fd = i;
      }
    }
  }
  if (fd == descriptors_.size()) {
    descriptors_.emplace_back();
  }
  descriptors_[fd] = {socket, true, stranger};
  return static_cast<int>(fd);
}

size_t FakeKernel::openSockets() const {
  return static_cast<size_t>(std::count_if(descriptors_.begin(), descriptors_.end(),
                                           [](const Descriptor& of) { return of.open && !of.stranger; }));
}

void FakeKernel::peerReads(FakeSocket* of, uint32_t bytes) {
  const uint32_t queued = of->capacity > of->room ? of->capacity - of->room : 0;
  of->room += of->capacity == 0 ? bytes : std::min(bytes, queued);
}

void FakeKernel::peerEnds(FakeSocket* of, int error) {
  if (!of->peerGone) {
    of->pendingError = error;
    of->peerGone = true;
  }
}

bool FakeKernel::fires(Fault fault) {
  const uint32_t rate = faults[fault];
  if (rate == 0 || !random.chance(rate)) {
    return false;
  }
  fired[static_cast<size_t>(fault)]++;
  trace(Event::fault, static_cast<uint64_t>(fault));
  return true;
}

void FakeKernel::print(Event event, uint64_t a, uint64_t b) {
  const std::array<const char*, 14> names{"fault",         "moved",     "writes-ended", "reset",    "closed",
                                          "submit-failed", "submitted", "completed",    "ready",    "step",
                                          "close",         "result",    "healing",      "destroyed"};
  const char* name = names.at(static_cast<size_t>(event));
  if (event == Event::fault) {
    std::fprintf(stderr, "%s %s\n", name, faultNames.at(a));
  } else {
    std::fprintf(stderr, "%s %llx %llx\n", name, static_cast<unsigned long long>(a),
                 static_cast<unsigned long long>(b));
  }
}

void FakeKernel::count() {
  if (++calls_ > callsMax_) {
    violate("I03", "a call of the sender goes on for ever: others wait for one connection");
    throw Stuck();
  }
}

bool FakeKernel::usable(int fd, const char* what) {
  const auto at = static_cast<size_t>(fd);
  if (fd >= 0 && at < descriptors_.size() && descriptors_[at].open && !descriptors_[at].stranger) {
    return true;
  }
  const bool stranger = fd >= 0 && at < descriptors_.size() && descriptors_[at].open;
  violate("I06", std::string(what) + (stranger ? " a stranger's descriptor" : " a closed descriptor"));
  return false;
}

int32_t FakeKernel::transfer(FakeSocket* of, const uint8_t* bytes, uint32_t length) {
  if (of->pipe) {
    return -ENOTSOCK;
  }
  if (of->pendingError != 0) {
    const int error = of->pendingError;
    of->pendingError = 0;
    return -error;
  }
  if (of->peerGone || of->wasReset || of->writesEnded) {
    return -EPIPE;
  }
  if (length == 0) {
    return 0;
  }
  if (reinterpret_cast<uintptr_t>(bytes) < lowestAddress) {
    return -EFAULT;
  }
  if (of->room == 0 || fires(Fault::blocked)) {
    return -EAGAIN;
  }
  if (fires(Fault::resultZero)) {
    return 0;
  }
  if (fires(Fault::sendError)) {
    of->peerGone = true;
    return random.chance(500) ? -ETIMEDOUT : -ENOBUFS;
  }
  uint32_t moved = std::min(length, of->room);
  if (moved > 1 && fires(Fault::shortSend)) {
    moved = 1 + below(moved - 1);
  }
  of->room -= moved;
  of->received.insert(of->received.end(), bytes, bytes + moved);
  trace(Event::moved, moved, hashOf(bytes, moved));
  return static_cast<int32_t>(moved);
}

bool FakeKernel::writable(const FakeSocket& of) {
  if (of.pendingError != 0 || of.peerGone || of.wasReset || of.writesEnded) {
    return true;
  }
  return of.room > 0 && uint64_t{of.room} * 3 >= of.capacity;
}

int64_t FakeKernel::send(int fd, const uint8_t* bytes, uint32_t length) {
  count();
  if (!usable(fd, "a send on")) {
    return -EBADF;
  }
  if (__atomic_load_n(&fence, __ATOMIC_SEQ_CST) != 0) {
    violate("I10", "a send after the fence");
  }
  return fires(Fault::eintrBefore) ? -EINTR : transfer(&socket(fd), bytes, length);
}

int FakeKernel::endWrites(int fd) {
  count();
  trace(Event::writesEnded, static_cast<uint64_t>(fd));
  if (!usable(fd, "an end of writes on")) {
    return -EBADF;
  }
  socket(fd).writesEnded = true;
  return 0;
}

int FakeKernel::reset(int fd) {
  count();
  trace(Event::reset, static_cast<uint64_t>(fd));
  if (!usable(fd, "a reset of")) {
    return -EBADF;
  }
  socket(fd).wasReset = true;
  return 0;
}

int FakeKernel::close(int fd) {
  count();
  trace(Event::closed, static_cast<uint64_t>(fd));
  if (!usable(fd, "a close of")) {
    return -EBADF;
  }
  socket(fd).open = false;
  descriptors_[static_cast<size_t>(fd)].open = false;
  return 0;
}

int FakeKernel::queuedBytes(int fd) {
  const FakeSocket& of = socket(fd);
  return of.capacity > of.room ? static_cast<int>(of.capacity - of.room) : 0;
}

void FakeKernel::clearWake(int /*fd*/) { wakes = 0; }

uint64_t FakeKernel::nowNs() {
  count();
  return now += 1000000;
}

uint64_t FakeKernel::hashOf(const uint8_t* bytes, uint32_t length) {
  uint64_t hash = length;
  uint32_t at = 0;
  for (; at + sizeof(uint64_t) <= length; at += sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, bytes + at, sizeof word);
    hash = (hash ^ word) * 0x9fb21c651e98df25U;
    hash ^= hash >> 29U;
  }
  for (; at < length; at++) {
    hash = (hash ^ bytes[at]) * 0x100000001b3U;
  }
  return mix(hash);
}

bool FakeKernel::unchanged(const HeldBytes& held) {
  if (hashOf(held.bytes, held.length) == held.hash) {
    return true;
  }
  violate("I07", "the kernel reads bytes that were changed or freed while a send named them");
  return false;
}

void FakeKernel::endOrphans() {
  for (const HeldBytes& held : orphans) {
    static_cast<void>(unchanged(held));
  }
  orphans.clear();
}

}  // namespace ackgate::sim
