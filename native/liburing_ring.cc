// The only file that knows liburing.
#include "liburing_ring.h"

#include <cerrno>

#if HAVE_LIBURING
#include <liburing.h>
#endif

// Older headers lack the flags and calls used here.
#if HAVE_LIBURING && defined(IORING_SETUP_DEFER_TASKRUN)

#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <ctime>

namespace ackgate {

namespace {

constexpr uint32_t entriesMin = 64;
/** How long the submission thread spins before it sleeps, in milliseconds. */
constexpr uint32_t sqpollIdleMs = 100;

struct SetupStep {
  uint32_t flags;
  std::vector<std::string> features;
};

std::vector<SetupStep> setupSteps(bool sqpoll) {
  if (sqpoll) {
    return {{IORING_SETUP_SQPOLL | IORING_SETUP_SUBMIT_ALL, {"SQPOLL", "SUBMIT_ALL"}},
            {IORING_SETUP_SQPOLL, {"SQPOLL"}}};
  }
  return {{IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
               IORING_SETUP_SUBMIT_ALL,
           {"SINGLE_ISSUER", "DEFER_TASKRUN", "TASKRUN_FLAG", "SUBMIT_ALL"}},
          {IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL,
           {"COOP_TASKRUN", "TASKRUN_FLAG", "SUBMIT_ALL"}},
          {0, {}}};
}

unsigned load(const unsigned* word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }

class LiburingRing final : public RingOps {
 public:
  LiburingRing() = default;
  ~LiburingRing() override { LiburingRing::close(); }

  bool setUp(const RingRequest& request, RingReport* report);

  [[nodiscard]] uint32_t entries() const override { return ring_.sq.ring_entries; }
  [[nodiscard]] uint32_t completionEntries() const override { return ring_.cq.ring_entries; }
  [[nodiscard]] const std::vector<std::string>& features() const override { return features_; }

  uint32_t prepare(const Submission* submissions, uint32_t count) override;
  void rewind() override;
  SubmitOutcome submit() override;
  bool needsEnter() override;
  bool overflowed() override { return (flags() & IORING_SQ_CQ_OVERFLOW) != 0; }
  int getEvents() override;
  int wait(uint64_t timeoutNs) override;
  uint32_t take(Completion* out, uint32_t max) override;
  bool ready() override { return load(ring_.cq.ktail) != *ring_.cq.khead; }
  int registerFile(uint32_t slot, int fd) override;
  void unregisterFile(uint32_t slot) override;
  void close() override;

 private:
  int initialise(const RingRequest& request);
  bool hasOpcodes();
  void registerFeatures(const RingRequest& request);
  void encode(io_uring_sqe* sqe, const Submission& submission) const;
  int enter(unsigned count, unsigned waitFor, unsigned enterFlags,
            const io_uring_getevents_arg* argument) const;
  [[nodiscard]] unsigned flags() const { return load(ring_.sq.kflags); }
  [[nodiscard]] unsigned wakeUpFlag() const;

  io_uring ring_{};
  bool open_ = false;
  bool sqpoll_ = false;
  bool ringRegistered_ = false;
  bool filesRegistered_ = false;
  std::vector<std::string> features_;
};

bool LiburingRing::setUp(const RingRequest& request, RingReport* report) {
  report->stage = "setup";
  report->error = initialise(request);
  if (report->error == 0 && !hasOpcodes()) {
    report->stage = "opcodes";
    report->error = EOPNOTSUPP;
    close();
  }
  if (report->error != 0) {
    return false;
  }
  registerFeatures(request);
  report->stage.clear();
  report->entries = entries();
  report->features = features_;
  return true;
}

int LiburingRing::initialise(const RingRequest& request) {
  const std::vector<SetupStep> steps = setupSteps(request.sqpoll);
  size_t step = 0;
  uint32_t entries = std::max(request.entries, entriesMin);
  for (;;) {
    io_uring_params params{};
    params.flags = steps[step].flags | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
    params.cq_entries = entries * 4;
    params.sq_thread_idle = sqpollIdleMs;
    const int error = -io_uring_queue_init_params(entries, &ring_, &params);
    if (error == EINVAL && step + 1 < steps.size()) {
      step++;
    } else if (error == ENOMEM && entries > entriesMin) {
      entries = std::max(entries / 2, entriesMin);
    } else if (error != 0) {
      return error;
    } else {
      break;
    }
  }
  open_ = true;
  sqpoll_ = request.sqpoll;
  features_ = steps[step].features;
  // Entry i of the ring is entry i of the array, always: rewinding then needs no bookkeeping but the two
  // tails.
  if (ring_.sq.array != nullptr) {
    for (unsigned i = 0; i < ring_.sq.ring_entries; i++) {
      ring_.sq.array[i] = i;
    }
  }
  return 0;
}

bool LiburingRing::hasOpcodes() {
  io_uring_probe* probe = io_uring_get_probe_ring(&ring_);
  if (probe == nullptr) {
    return false;
  }
  const std::array<int, 3> needed{IORING_OP_SEND, IORING_OP_POLL_ADD, IORING_OP_ASYNC_CANCEL};
  const bool all = std::all_of(needed.begin(), needed.end(),
                               [probe](int op) { return io_uring_opcode_supported(probe, op) != 0; });
  io_uring_free_probe(probe);
  return all;
}

void LiburingRing::registerFeatures(const RingRequest& request) {
  ringRegistered_ = io_uring_register_ring_fd(&ring_) == 1;
  if (ringRegistered_) {
    features_.emplace_back("REGISTERED_RING");
  }
  filesRegistered_ = request.files > 0 && io_uring_register_files_sparse(&ring_, request.files) == 0;
  if (filesRegistered_) {
    features_.emplace_back("REGISTERED_FILES");
  }
  if ((ring_.features & IORING_FEAT_EXT_ARG) != 0) {
    features_.emplace_back("EXT_ARG");
  }
}

uint32_t LiburingRing::prepare(const Submission* submissions, uint32_t count) {
  uint32_t prepared = 0;
  for (; prepared < count; prepared++) {
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    if (sqe == nullptr) {
      break;
    }
    encode(sqe, submissions[prepared]);
  }
  return prepared;
}

void LiburingRing::encode(io_uring_sqe* sqe, const Submission& submission) const {
  const uint64_t of = submission.userData;
  const int file = filesRegistered_ ? static_cast<int>(slotOf(of)) : submission.fd;
  switch (whatOf(of)) {
    case What::send:
      io_uring_prep_send(sqe, file, submission.bytes, submission.length, MSG_NOSIGNAL);
      break;
    case What::poll:
      io_uring_prep_poll_add(sqe, file, POLLOUT);
      break;
    case What::wake:
      io_uring_prep_poll_add(sqe, submission.fd, POLLIN);
      break;
    case What::cancelSend:
    case What::cancelPoll:
    case What::cancelWake:
      io_uring_prep_cancel64(sqe, submission.target, 0);
      break;
  }
  const bool onSocket = whatOf(of) == What::send || whatOf(of) == What::poll;
  io_uring_sqe_set_flags(sqe, onSocket && filesRegistered_ ? static_cast<unsigned>(IOSQE_FIXED_FILE) : 0U);
  io_uring_sqe_set_data64(sqe, of);
}

void LiburingRing::rewind() { ring_.sq.sqe_tail = ring_.sq.sqe_head; }

SubmitOutcome LiburingRing::submit() {
  io_uring_sq& sq = ring_.sq;
  const unsigned count = sq.sqe_tail - sq.sqe_head;
  const unsigned before = load(sq.khead);
  sq.sqe_head = sq.sqe_tail;
  __atomic_store_n(sq.ktail, sq.sqe_tail, __ATOMIC_RELEASE);
  if (sqpoll_) {
    // The kernel's thread may already have them all: nothing can be taken back.
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (wakeUpFlag() != 0) {
      enter(count, 0, IORING_ENTER_SQ_WAKEUP, nullptr);
    }
    return {count, 0};
  }
  const int error = enter(count, 0, IORING_ENTER_GETEVENTS, nullptr);
  // What the call returned is not asked: the head says what the kernel has taken, also when it failed after.
  const unsigned head = load(sq.khead);
  const unsigned consumed = head - before;
  if (consumed < count) {
    sq.sqe_head = head;
    sq.sqe_tail = head;
    __atomic_store_n(sq.ktail, head, __ATOMIC_RELEASE);
  }
  return {consumed, error};
}

int LiburingRing::enter(unsigned count, unsigned waitFor, unsigned enterFlags,
                        const io_uring_getevents_arg* argument) const {
  if (ringRegistered_) {
    enterFlags |= IORING_ENTER_REGISTERED_RING;
  }
  size_t size = _NSIG / 8;
  if (argument != nullptr) {
    enterFlags |= IORING_ENTER_EXT_ARG;
    size = sizeof *argument;
  }
  const long result =
      syscall(__NR_io_uring_enter, ring_.enter_ring_fd, count, waitFor, enterFlags, argument, size);
  return result < 0 ? errno : 0;
}

unsigned LiburingRing::wakeUpFlag() const {
  return sqpoll_ && (flags() & IORING_SQ_NEED_WAKEUP) != 0 ? IORING_ENTER_SQ_WAKEUP : 0U;
}

bool LiburingRing::needsEnter() {
  if ((flags() & (IORING_SQ_CQ_OVERFLOW | IORING_SQ_TASKRUN)) != 0) {
    return true;
  }
  // A wake-up call that was interrupted left entries with a thread that sleeps.
  return wakeUpFlag() != 0 && load(ring_.sq.khead) != *ring_.sq.ktail;
}

int LiburingRing::getEvents() { return enter(0, 0, IORING_ENTER_GETEVENTS | wakeUpFlag(), nullptr); }

int LiburingRing::wait(uint64_t timeoutNs) {
  if ((ring_.features & IORING_FEAT_EXT_ARG) == 0) {
    pollfd source{ring_.ring_fd, POLLIN, 0};
    timespec timeout{};
    timeout.tv_sec = static_cast<time_t>(timeoutNs / 1000000000U);
    timeout.tv_nsec = static_cast<long>(timeoutNs % 1000000000U);
    const int count = ppoll(&source, 1, &timeout, nullptr);
    return count > 0 ? 0 : count == 0 ? ETIME : errno;
  }
  __kernel_timespec timeout{};
  timeout.tv_sec = static_cast<int64_t>(timeoutNs / 1000000000U);
  timeout.tv_nsec = static_cast<int64_t>(timeoutNs % 1000000000U);
  io_uring_getevents_arg argument{};
  argument.sigmask_sz = _NSIG / 8;
  argument.ts = reinterpret_cast<uint64_t>(&timeout);
  return enter(0, 1, IORING_ENTER_GETEVENTS | wakeUpFlag(), &argument);
}

uint32_t LiburingRing::take(Completion* out, uint32_t max) {
  const unsigned head = *ring_.cq.khead;
  const uint32_t count = std::min<uint32_t>(load(ring_.cq.ktail) - head, max);
  for (uint32_t i = 0; i < count; i++) {
    const io_uring_cqe& cqe = ring_.cq.cqes[(head + i) & ring_.cq.ring_mask];
    out[i] = {cqe.user_data, cqe.res};
  }
  io_uring_cq_advance(&ring_, count);
  return count;
}

int LiburingRing::registerFile(uint32_t slot, int fd) {
  if (!filesRegistered_) {
    return 0;
  }
  const int result = io_uring_register_files_update(&ring_, slot, &fd, 1);
  return result < 0 ? result : 0;
}

void LiburingRing::unregisterFile(uint32_t slot) {
  if (filesRegistered_) {
    const int none = -1;
    io_uring_register_files_update(&ring_, slot, &none, 1);
  }
}

void LiburingRing::close() {
  if (open_) {
    open_ = false;
    io_uring_queue_exit(&ring_);
  }
}

}  // namespace

std::unique_ptr<RingOps> createLiburingRing(const RingRequest& request, RingReport* report) {
  auto ring = std::make_unique<LiburingRing>();
  if (!ring->setUp(request, report)) {
    return nullptr;
  }
  return ring;
}

}  // namespace ackgate

#else

namespace ackgate {

std::unique_ptr<RingOps> createLiburingRing(const RingRequest& /*request*/, RingReport* report) {
  report->stage = "build";
  report->error = ENOSYS;
  return nullptr;
}

}  // namespace ackgate

#endif
