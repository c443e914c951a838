#include "world.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <type_traits>

#include "../posix_sender.h"
#include "../uring_sender.h"
#include "fake_kernel.h"
#include "fake_poller.h"
#include "fake_ring.h"
#include "streams.h"

namespace ackgate::sim {

namespace {

/** More calls of the kernel than any round needs; what goes beyond does not end by itself. */
constexpr uint32_t roundCallsMax = 20000;
constexpr uint32_t teardownCallsMax = 200000;
/** Steps without progress after which a peer is dropped. */
constexpr uint32_t stuckMax = 25;
constexpr uint32_t healRounds = 600;
constexpr double teardownMs = 1000;

/** Drawn once for each seed. */
struct Plan {
  Sizes sizes;
  uint32_t window;
  uint32_t steps;
  /** Step at which the sender is destroyed; `steps` is never. */
  uint32_t endStep;
  bool terminated;
  double deadlineMs;
  /** Bytes that one append has at most, and chances in 1,000 of what happens in each step. */
  uint32_t appendMax;
  uint32_t appends;
  uint32_t drops;
  uint32_t opens;
  bool busyKernel;
};

/** Faults that end something are rare, or nothing else would be seen. */
uint32_t rateMax(Fault fault) {
  switch (fault) {
    case Fault::fence:
    case Fault::submitFatal:
      return 6;
    case Fault::reset:
    case Fault::brokenPipe:
    case Fault::sendError:
      return 20;
    case Fault::zeroWindow:
    case Fault::trickle:
    case Fault::openRefused:
      return 200;
    default:
      return 400;
  }
}

/** What leaves nothing to see after it. */
bool isEnding(Fault fault) {
  return fault == Fault::fence || fault == Fault::submitFatal || fault == Fault::shutdown ||
         fault == Fault::terminated;
}

void drawFaults(FakeKernel* kernel, const FaultSet& allowed, Outcome* outcome) {
  for (size_t i = 0; i < faultCount; i++) {
    const auto fault = static_cast<Fault>(i);
    // Drawn whether allowed or not: leaving one out does not change the others.
    const bool on = kernel->chance(isEnding(fault) ? 150 : 400);
    const uint32_t rate = 1 + kernel->below(kernel->chance(500) ? rateMax(fault) : rateMax(fault) / 6 + 1);
    if (on && allowed[i]) {
      kernel->faults[fault] = rate;
      outcome->faults.emplace_back(faultNames[i]);
    }
  }
}

Plan drawPlan(FakeKernel* kernel) {
  Random& random = kernel->random;
  Plan plan{};
  plan.sizes.slots = random.between(1, worldSlotsMax);
  plan.sizes.entries = random.between(1, random.chance(500) ? 8 : 64);
  plan.sizes.completionEntries = random.between(1, random.chance(500) ? 16 : 256);
  plan.sizes.results = random.between(1, random.chance(500) ? 12 : 128);
  plan.window = random.chance(100) ? layout::sendBufferBytes : random.between(64, 4096);
  plan.steps = random.between(30, 120);
  plan.endStep = plan.steps;
  const bool shutdown = kernel->faults[Fault::shutdown] > 0;
  plan.terminated = kernel->faults[Fault::terminated] > 0;
  if (shutdown || plan.terminated) {
    plan.endStep = random.below(plan.steps);
  }
  plan.deadlineMs = random.chance(100) ? random.below(20) : teardownMs;
  plan.appendMax = random.between(1, random.chance(500) ? 300 : plan.window);
  plan.appends = random.between(50, 700);
  plan.drops = random.between(0, 40);
  plan.opens = random.between(50, 500);
  plan.busyKernel = random.chance(500);
  return plan;
}

template <typename Sender>
class World {
 public:
  World(FakeKernel& kernel, const Plan& plan, const std::shared_ptr<Arena>& arena)
      : kernel_(kernel),
        plan_(plan),
        tables_(plan.sizes, arena),
        streams_(kernel, tables_, plan.sizes.slots, plan.window) {
    const SenderConfig config = tables_.config(&kernel.fence);
    if constexpr (std::is_same_v<Sender, UringSender>) {
      auto ring = std::make_unique<FakeRing>(kernel, plan.sizes.entries, plan.sizes.completionEntries);
      ring_ = ring.get();
      ring_->busyKernel = plan.busyKernel;
      sender_ = std::make_unique<UringSender>(config, kernel, std::move(ring));
      kernel_.reach(Reached::uring);
    } else {
      sender_ = std::make_unique<PosixSender>(config, kernel, std::make_unique<FakePoller>(kernel));
      kernel_.reach(Reached::posix);
    }
  }

  void run() {
    try {
      live();
    } catch (const std::exception& error) {
      kernel_.violate("crash", error.what());
    }
    if (failed() && sender_ != nullptr) {
      // What is broken is not asked to end in order: it might not end at all.
      static std::vector<Sender*> forgotten;
      forgotten.push_back(sender_.release());
    }
  }

 private:
  [[nodiscard]] bool failed() const { return !kernel_.violations.empty(); }

  void live() {
    uint32_t step = 0;
    for (; step < plan_.endStep && !failed() && !stopped_; step++) {
      kernel_.trace(Event::step, step);
      live(step);
    }
    const bool whole = step == plan_.steps && !stopped_;
    if (whole && !failed()) {
      heal();
    }
    if (!failed()) {
      if (!whole && !stopped_) {
        kernel_.fired[static_cast<size_t>(plan_.terminated ? Fault::terminated : Fault::shutdown)]++;
      }
      end(whole);
    }
  }

  void live(uint32_t step) {
    for (uint32_t slot = 0; slot < streams_.size(); slot++) {
      act(slot);
      peer(slot);
    }
    strangers();
    flush(gather());
    if (kernel_.chance(500)) {
      progress();
    }
    dropSome();
    if (!failed() && !stopped_ && kernel_.chance(300)) {
      park();
    }
    if (!failed() && !stopped_ && (step % 2 == 0 || kernel_.chance(500))) {
      flush(0);
    }
    if (ring_ == nullptr && kernel_.fires(Fault::fence)) {
      kernel_.fence = 1;
    }
  }

  void act(uint32_t slot) {
    Stream& stream = streams_[slot];
    if (stream.life == Stream::Life::free && kernel_.chance(plan_.opens)) {
      open(slot);
    }
    if (stream.life != Stream::Life::open) {
      return;
    }
    if (kernel_.chance(plan_.appends)) {
      streams_.append(slot, 1 + kernel_.below(plan_.appendMax));
    }
    stream.stuck += stream.used() > 0 ? 1 : 0;
    if (stream.stuck > stuckMax) {
      close(slot, layout::how::reset);
    } else if (kernel_.chance(plan_.drops)) {
      close(slot, stream.used() == 0 ? layout::how::orderly : layout::how::reset);
    } else if (stream.used() == 0 && kernel_.chance(10)) {
      kernel_.reach(Reached::pagesReleased);
      sender_->releasePages(slot);
    }
  }

  void open(uint32_t slot) {
    Stream& stream = streams_[slot];
    if (stream.generation > 0) {
      kernel_.reach(Reached::slotReopened);
    }
    stream.generation++;
    const uint32_t capacity = kernel_.chance(300) ? 0 : 16 + kernel_.below(4000);
    const int fd = kernel_.makeSocket(capacity == 0 ? kernel_.below(3000) : capacity, capacity);
    begin(roundCallsMax);
    const bool refused = sender_->open(slot, stream.generation, fd) != 0;
    if (refused && kernel_.socket(fd).open) {
      kernel_.violate("I06", "a connection refused and its descriptor kept");
    }
    streams_.open(slot, fd, refused);
    if (kernel_.fires(Fault::zeroWindow)) {
      stream.peer = Stream::Peer::stopped;
    } else if (kernel_.fires(Fault::trickle)) {
      stream.peer = Stream::Peer::trickles;
    }
  }

  void close(uint32_t slot, uint32_t how) {
    Stream& stream = streams_[slot];
    kernel_.trace(Event::close, slot, how);
    kernel_.reach(how == layout::how::reset ? Reached::endedByReset : Reached::endedOrderly);
    if (stream.sending) {
      kernel_.reach(Reached::dropUnderWay);
    }
    stream.life = Stream::Life::closing;
    stream.how = how;
    begin(roundCallsMax);
    sender_->close(slot, how);
  }

  /** Between a flush and the next reap. */
  void dropSome() {
    for (uint32_t slot = 0; slot < streams_.size(); slot++) {
      if (streams_[slot].life == Stream::Life::open && kernel_.chance(plan_.drops / 2)) {
        close(slot, streams_[slot].used() == 0 ? layout::how::orderly : layout::how::reset);
      }
    }
  }

  void peer(uint32_t slot) {
    const Stream& stream = streams_[slot];
    if (stream.life == Stream::Life::free) {
      return;
    }
    FakeSocket& socket = kernel_.socketOf(stream.socket);
    if (stream.peer == Stream::Peer::trickles) {
      FakeKernel::peerReads(&socket, kernel_.below(8));
    } else if (stream.peer == Stream::Peer::reads && kernel_.chance(500)) {
      FakeKernel::peerReads(&socket, kernel_.below(3000));
    }
    if (kernel_.fires(Fault::reset)) {
      FakeKernel::peerEnds(&socket, ECONNRESET);
    }
    if (kernel_.fires(Fault::brokenPipe)) {
      FakeKernel::peerEnds(&socket, 0);
    }
  }

  /** The rest of the process opens and closes files too. */
  void strangers() {
    if (kernel_.faults[Fault::fdReuse] == 0) {
      return;
    }
    if (kernel_.chance(300)) {
      strangers_.push_back(kernel_.makeStranger());
    }
    if (!strangers_.empty() && kernel_.chance(300)) {
      kernel_.closeStranger(strangers_.back());
      strangers_.pop_back();
    }
  }

  uint32_t gather() {
    uint32_t count = 0;
    for (uint32_t slot = 0; slot < streams_.size(); slot++) {
      Stream& stream = streams_[slot];
      if (stream.life == Stream::Life::open && stream.refused) {
        stream.refused = false;
        stream.polling = true;
        tables_.setRequest(count++, pollOf(slot, stream.generation));
      } else if (stream.dirty()) {
        tables_.setRequest(count++, streams_.prepareSend(slot));
      }
    }
    if (count > plan_.sizes.entries && ring_ != nullptr) {
      kernel_.reach(Reached::moreDirtyThanEntries);
    }
    if (kernel_.chance(20)) {
      // A stage that is wrong gets an answer, and nobody is harmed.
      const uint32_t slot = kernel_.below(streams_.size() + 1);
      tables_.setRequest(count++, sendOf(slot, 10, Streams::bogusGeneration));
      bogus_++;
    }
    return count;
  }

  void begin(uint32_t callsMax) { kernel_.beginCall(callsMax); }

  /** One flush, and reaps until everything that came has been applied. */
  void flush(uint32_t count) {
    begin(roundCallsMax);
    const uint64_t before = kernel_.now;
    const uint32_t rounds = ring_ == nullptr ? 0 : ring_->roundsTaken;
    int32_t results = sender_->flush(count);
    if (ring_ != nullptr && ring_->roundsTaken > rounds + 1) {
      kernel_.reach(Reached::manyRounds);
    }
    apply(results);
    while (state(layout::state::more) != 0 && !failed()) {
      kernel_.reach(Reached::backlog);
      begin(roundCallsMax);
      results = sender_->reap();
      if (results == 0) {
        break;
      }
      apply(results);
    }
    if (kernel_.now != before) {
      kernel_.violate("I03", "a flush that waits: others wait for one connection");
    }
    checkState();
  }

  void apply(int32_t results) {
    for (const Result& result : tables_.take(results)) {
      kernel_.trace(Event::result, (uint64_t{result.slot} << 32U) | result.generation,
                    (uint64_t{result.op} << 32U) | static_cast<uint32_t>(result.value));
      if (failed()) {
        return;
      }
      if (streams_.apply(result)) {
        close(result.slot, layout::how::reset);
      }
    }
  }

  [[nodiscard]] int32_t state(uint32_t word) const { return tables_.state(word); }

  void checkState() {
    const int error = state(layout::state::submitErrno);
    if (error != 0 && error != EAGAIN && error != EBUSY && error != EINTR) {
      // The stage would stop.
      stopped_ = true;
      if (ring_ == nullptr || ring_->refusals.count(error) == 0) {
        kernel_.violate("I05", "an errno that the kernel has not given stops the stage");
      }
    }
    if (failed() || state(layout::state::more) != 0) {
      return;
    }
    const auto known = static_cast<uint32_t>(state(layout::state::underWay)) +
                       static_cast<uint32_t>(state(layout::state::unsubmitted));
    if (known != streams_.owed()) {
      kernel_.violate("I11", std::to_string(streams_.owed()) + " requests owed and " + std::to_string(known) +
                                 " counted by the sender");
    }
    if (ring_ != nullptr && ring_->registered() != streams_.occupied()) {
      kernel_.violate("I06", "the ring keeps sockets of connections that have ended");
    }
    if (ring_ != nullptr && static_cast<uint32_t>(state(layout::state::underWay)) != ring_->owed()) {
      kernel_.violate("I11", "the sender's count of what the kernel owes is wrong");
    }
  }

  void park() {
    kernel_.wakes += kernel_.below(2);
    begin(roundCallsMax);
    sender_->park(kernel_.below(60));
  }

  void progress() {
    if (ring_ != nullptr) {
      ring_->progress();
    }
  }

  /** No more faults: whatever was refused, interrupted or late must come to its end. */
  void heal() {
    kernel_.faults = {};
    for (uint32_t slot = 0; slot < streams_.size(); slot++) {
      const Stream& stream = streams_[slot];
      if (stream.life != Stream::Life::free) {
        FakeSocket& socket = kernel_.socketOf(stream.socket);
        socket.capacity = 0;
        socket.room = 1U << 30U;
      }
    }
    if (kernel_.fence != 0) {
      endFenced();
    }
    for (uint32_t round = 0; round < healRounds && !settled() && !failed() && !stopped_; round++) {
      kernel_.trace(Event::healing, round);
      flush(gather());
      progress();
    }
    if (!failed() && !stopped_ && !settled()) {
      kernel_.violate("I05", "faults have stopped, and something is left for ever");
    }
    if (!failed() && bogus_ != streams_.bogusAnswers) {
      kernel_.violate("I11", "a wrong request without an answer, or with two");
    }
    kernel_.reach(Reached::healed);
  }

  /** What waited when the fence came has been answered; then the stage drops everybody. */
  void endFenced() {
    for (int round = 0; round < 3 && !failed() && !stopped_; round++) {
      flush(gather());
      progress();
    }
    if (!failed() && state(layout::state::unsubmitted) != 0) {
      kernel_.violate("I10", "requests wait behind the fence instead of being answered");
    }
    for (uint32_t slot = 0; slot < streams_.size() && !stopped_; slot++) {
      if (streams_[slot].life == Stream::Life::open) {
        close(slot, layout::how::reset);
      }
    }
  }

  [[nodiscard]] bool settled() {
    for (uint32_t slot = 0; slot < streams_.size(); slot++) {
      const Stream& stream = streams_[slot];
      const bool waiting = stream.sending || stream.polling || stream.used() > 0;
      if (stream.life == Stream::Life::closing || (stream.life == Stream::Life::open && waiting)) {
        return false;
      }
    }
    return true;
  }

  void end(bool whole) {
    if (streams_.owed() > 0) {
      kernel_.reach(Reached::teardownUnderWay);
    }
    const bool byDestructor = plan_.terminated && !whole;
    const double deadlineMs = byDestructor || whole ? teardownMs : plan_.deadlineMs;
    // Tearing down may wait, and does: for as long as it was given.
    begin(teardownCallsMax);
    int32_t held = 0;
    const uint64_t start = kernel_.now;
    if (!whole && ring_ != nullptr && kernel_.fires(Fault::delayedCancel)) {
      ring_->frozen = true;
    }
    const bool frozen = ring_ != nullptr && ring_->frozen;
    if (byDestructor) {
      sender_.reset();
      // It cannot say; whoever calls it has to know.
      held = frozen || refused() ? static_cast<int32_t>(kernel_.orphans.size()) : 0;
    } else {
      held = sender_->destroy(deadlineMs);
      if (sender_->flush(0) != 0 || sender_->destroy(deadlineMs) != held) {
        kernel_.violate("I06", "a sender that was destroyed goes on");
      }
      sender_.reset();
    }
    ring_ = nullptr;
    const bool late = static_cast<double>(kernel_.now - start) >= teardownMs * 1e6;
    if (!frozen && !refused() && (late || (held > 0 && deadlineMs >= teardownMs))) {
      kernel_.violate("I05", "teardown gave up although the kernel would have let go");
    }
    afterwards(held);
  }

  /** The kernel has refused the ring itself at some time, and may do so for good. */
  [[nodiscard]] bool refused() const { return kernel_.fired[static_cast<size_t>(Fault::submitFatal)] > 0; }

  void afterwards(int32_t held) {
    kernel_.trace(Event::destroyed, static_cast<uint32_t>(held));
    if (held > 0) {
      kernel_.reach(Reached::teardownHeld);
    } else {
      streams_.poison();
    }
    kernel_.endOrphans();
    streams_.checkAll();
    if (kernel_.openSockets() != 0) {
      kernel_.violate("I06", std::to_string(kernel_.openSockets()) + " descriptors are left open");
    }
    for (uint32_t slot = 0; slot < streams_.size(); slot++) {
      const Stream& stream = streams_[slot];
      if (stream.life != Stream::Life::free) {
        checkEnded(stream);
      }
    }
  }

  void checkEnded(const Stream& stream) {
    const FakeSocket& socket = kernel_.socketOf(stream.socket);
    if (!socket.wasReset && !socket.writesEnded) {
      kernel_.violate("I06", "teardown closed only its own descriptor: the connection goes on");
    }
    const bool idle = stream.life == Stream::Life::open && !stream.sending && !stream.polling;
    if (idle && stream.cutShort && !socket.wasReset) {
      kernel_.violate("I02", "teardown ended a stream in good order that is cut inside a frame");
    }
  }

  FakeKernel& kernel_;
  Plan plan_;
  Tables tables_;
  Streams streams_;
  std::unique_ptr<Sender> sender_;
  /** The sender's; null for the one that has none. */
  FakeRing* ring_ = nullptr;
  std::vector<int> strangers_;
  uint64_t bogus_ = 0;
  /** The kernel refuses the ring: the stage has stopped. */
  bool stopped_ = false;
};

}  // namespace

Outcome runSeed(uint64_t seed, const FaultSet& allowed, const std::shared_ptr<Arena>& arena, bool trace) {
  Outcome outcome;
  FakeKernel kernel(seed);
  kernel.printTrace = trace;
  drawFaults(&kernel, allowed, &outcome);
  const Plan plan = drawPlan(&kernel);
  // The ring has more that can go wrong.
  if (kernel.chance(750)) {
    World<UringSender>(kernel, plan, arena).run();
  } else {
    World<PosixSender>(kernel, plan, arena).run();
  }
  if (!kernel.violations.empty()) {
    outcome.invariant = kernel.violations.front().invariant;
    outcome.message = kernel.violations.front().message;
  }
  outcome.fired = kernel.fired;
  outcome.reached = kernel.reached;
  outcome.hash = kernel.hash;
  return outcome;
}

}  // namespace ackgate::sim
