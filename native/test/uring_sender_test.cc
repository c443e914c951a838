// What the uring sender does when the kernel does something unusual, one case each.
#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>

#include "bench.h"

using namespace ackgate;
using namespace ackgate::sim;
using namespace ackgate::test;

namespace {

using UringBench = Bench<UringSender>;

std::vector<int> openAll(UringBench& bench, uint32_t room = 1U << 20U) {
  std::vector<int> fds;
  for (uint32_t slot = 0; slot < bench.sizes.slots; slot++) {
    fds.push_back(bench.kernel.makeSocket(room));
    REQUIRE(bench.sender->open(slot, 1, fds.back()) == 0);
  }
  return fds;
}

std::vector<Request> sendsOfAll(const UringBench& bench, uint32_t length) {
  std::vector<Request> requests;
  for (uint32_t slot = 0; slot < bench.sizes.slots; slot++) {
    requests.push_back(sendOf(slot, length));
  }
  return requests;
}

int32_t state(const UringBench& bench, uint32_t word) { return bench.tables.state(word); }

}  // namespace

TEST_CASE("a refused submission leaves the requests queued, and the next call hands them over") {
  for (const int error : {EAGAIN, EBUSY, ENOMEM}) {
    UringBench bench(1);
    const auto fds = openAll(bench);
    bench.ring->submitErrors = {error};
    CHECK(bench.flush(sendsOfAll(bench, 100)).empty());
    CHECK(state(bench, layout::state::submitErrno) == error);
    CHECK(state(bench, layout::state::unsubmitted) == 8);
    CHECK(bench.kernel.socket(fds[0]).received.empty());
    CHECK(bench.reap().size() == 8);
    CHECK(state(bench, layout::state::submitErrno) == 0);
    CHECK(state(bench, layout::state::unsubmitted) == 0);
    CHECK(bench.ring->sendsTaken == 8);
  }
}

TEST_CASE("an interrupted submission is tried again at once") {
  UringBench bench(1);
  openAll(bench);
  bench.ring->submitErrors = {EINTR, EINTR, EINTR};
  CHECK(bench.flush(sendsOfAll(bench, 100)).size() == 8);
  CHECK(state(bench, layout::state::submitErrno) == 0);
}

TEST_CASE("interruptions without end don't hold the call") {
  UringBench bench(1);
  openAll(bench);
  bench.ring->submitErrors.assign(100000, EINTR);
  CHECK(bench.flush(sendsOfAll(bench, 100)).empty());
  CHECK(state(bench, layout::state::submitErrno) == EINTR);
  bench.ring->submitErrors.clear();
  CHECK(bench.reap().size() == 8);
}

TEST_CASE("more requests than entries go out in rounds") {
  UringBench bench(1, {300, 64, 256, 2000});
  openAll(bench);
  CHECK(bench.flush(sendsOfAll(bench, 10)).size() == 300);
  CHECK(bench.ring->largestRound == 64);
  CHECK(bench.ring->roundsTaken == 5);
  CHECK(bench.ring->overflows == 0);
}

TEST_CASE("completions are counted: healthy sockets never overflow the queue") {
  UringBench bench(1, {300, 64, 64, 2000});
  openAll(bench);
  for (int round = 0; round < 5; round++) {
    CHECK(bench.flush(sendsOfAll(bench, 10)).size() == 300);
  }
  CHECK(bench.ring->overflows == 0);
}

TEST_CASE("completions that are owed keep their places in the queue") {
  UringBench bench(1, {120, 64, 64, 2000});
  const auto fds = openAll(bench, 0);
  std::vector<Request> first;
  std::vector<Request> second;
  for (uint32_t slot = 0; slot < 120; slot++) {
    (slot < 40 ? first : second).push_back(sendOf(slot, 10));
  }
  CHECK(bench.flush(first).empty());
  for (const int fd : fds) {
    bench.kernel.socket(fd).room = 100;
  }
  // The answers of the first forty come while the others are submitted.
  bench.ring->busyKernel = true;
  CHECK(bench.flush(second).size() == 120);
  CHECK(bench.ring->overflows == 0);
}

TEST_CASE("a second send of a slot is refused while the first is queued or under way") {
  UringBench bench(1);
  openAll(bench, 0);
  bench.ring->submitErrors = {EAGAIN};
  auto results = bench.flush({sendOf(0, 10), sendOf(0, 10), pollOf(0), pollOf(0)});
  REQUIRE(results.size() == 2);
  CHECK(results[0].value == -EBUSY);
  CHECK(results[1].value == -EBUSY);
  results = bench.flush({sendOf(0, 10)});
  REQUIRE(results.size() == 1);
  CHECK(results[0].value == -EBUSY);
  CHECK(bench.ring->sendsTaken == 1);
}

TEST_CASE("blocked peers that owe every completion hold up nobody, and an overflow loses nothing") {
  UringBench bench(1, {300, 64, 64, 2000});
  const auto fds = openAll(bench, 0);
  CHECK(bench.flush(sendsOfAll(bench, 10)).empty());
  CHECK(state(bench, layout::state::underWay) == 300);
  for (const int fd : fds) {
    bench.kernel.socket(fd).room = 100;
  }
  bench.progress();
  CHECK(bench.reap().size() == 300);
  CHECK(bench.ring->overflows > 0);
  CHECK(state(bench, layout::state::overflows) > 0);
}

TEST_CASE("a fence set between two rounds stops the second") {
  UringBench bench(1, {300, 64, 256, 2000});
  openAll(bench);
  // Refused twice: after the first time the results of the round before have made room, and it is tried
  // again.
  bench.ring->submitErrors = {0, EAGAIN, EAGAIN};
  const auto before = bench.flush(sendsOfAll(bench, 10));
  CHECK(bench.ring->sendsTaken == 64);
  bench.kernel.fence = 1;
  auto results = bench.reap();
  results.insert(results.end(), before.begin(), before.end());
  CHECK(results.size() == 300);
  CHECK(std::count_if(results.begin(), results.end(),
                      [](const Result& result) { return result.value == -ECANCELED; }) == 300 - 64);
  CHECK(bench.ring->sendsTaken == 64);
  CHECK(bench.kernel.violations.empty());
}

TEST_CASE("a fence set while a round is prepared stops that round") {
  UringBench bench(1);
  openAll(bench);
  bench.kernel.faults[Fault::fence] = 1000;
  const auto results = bench.flush(sendsOfAll(bench, 10));
  CHECK(results.size() == 8);
  CHECK(bench.ring->sendsTaken == 0);
  CHECK(bench.kernel.violations.empty());
}

TEST_CASE("closing a slot answers what it has queued") {
  UringBench bench(1);
  openAll(bench);
  bench.ring->submitErrors = {EAGAIN};
  CHECK(bench.flush({sendOf(0, 10), pollOf(0), sendOf(1, 10)}).empty());
  bench.sender->close(0, layout::how::reset);
  const auto results = bench.reap();
  REQUIRE(results.size() == 4);
  CHECK(results[0].value == -ECANCELED);
  CHECK(results[1].value == -ECANCELED);
  CHECK(results[2].slot == 1);
  CHECK(results[2].value == 10);
  CHECK(results[3].op == layout::op::closed);
}

TEST_CASE("a cancel that misses is repeated until the request has ended") {
  UringBench bench(1);
  openAll(bench, 0);
  CHECK(bench.flush({sendOf(0, 10)}).empty());
  bench.ring->frozen = true;
  bench.sender->close(0, layout::how::reset);
  bench.reap();
  bench.reap();
  bench.ring->frozen = false;
  std::vector<Result> results;
  for (int i = 0; i < 5; i++) {
    const auto more = bench.reap();
    results.insert(results.end(), more.begin(), more.end());
  }
  REQUIRE(results.size() == 2);
  CHECK(results[1].op == layout::op::closed);
}

TEST_CASE("a wake written at any time ends the next sleep") {
  UringBench bench(1);
  openAll(bench);
  const auto slept = [&bench] {
    const uint64_t before = bench.kernel.now;
    bench.sender->park(50);
    return bench.kernel.now - before;
  };
  CHECK(slept() == 50000000);
  bench.kernel.wakes = 1;
  CHECK(slept() == 0);
  CHECK(slept() == 50000000);
  // Seen by a reap in between: the descriptor is still readable.
  bench.kernel.wakes = 1;
  bench.progress();
  bench.reap();
  CHECK(slept() == 0);
  CHECK(bench.kernel.wakes == 0);
}

TEST_CASE("results that are waiting keep the sender awake") {
  UringBench bench(1);
  const auto fds = openAll(bench, 0);
  CHECK(bench.flush({sendOf(0, 10)}).empty());
  bench.kernel.socket(fds[0]).room = 10;
  bench.progress();
  const uint64_t before = bench.kernel.now;
  bench.sender->park(50);
  CHECK(bench.kernel.now == before);
  CHECK(state(bench, layout::state::more) == 1);
  CHECK(bench.reap().size() == 1);
}

TEST_CASE("destroy waits for the kernel to let go, and says what it could not end") {
  UringBench bench(1);
  openAll(bench, 0);
  CHECK(bench.flush(sendsOfAll(bench, 10)).empty());
  bench.kernel.faults[Fault::lateCompletion] = 1000;
  SUBCASE("it lets go") {
    CHECK(bench.sender->destroy(1000) == 0);
    CHECK(bench.kernel.orphans.empty());
    CHECK(bench.kernel.violations.empty());
  }
  SUBCASE("it lets go only after a while") {
    bench.kernel.faults[Fault::delayedCancel] = 1000;
    CHECK(bench.sender->destroy(1000) == 0);
    CHECK(bench.kernel.orphans.empty());
    CHECK(bench.kernel.violations.empty());
  }
  SUBCASE("it takes nothing any more") {
    bench.ring->frozen = true;
    bench.ring->submitErrors.assign(1000000, EBUSY);
    CHECK(bench.sender->destroy(100) == 8);
    CHECK(bench.sender->destroy(100) == 8);
    CHECK(bench.kernel.orphans.size() == 8);
  }
  CHECK(bench.kernel.openSockets() == 0);
  CHECK(bench.flush({sendOf(0, 10)}).empty());
}

TEST_CASE("an abandoned stream ends cleanly only when nothing of it is missing") {
  UringBench bench(1);
  const auto fds = openAll(bench);
  bench.kernel.socket(fds[1]).room = 4;
  bench.kernel.socket(fds[2]).room = 0;
  CHECK(bench.flush({sendOf(0, 10), sendOf(1, 10), sendOf(2, 10)}).size() == 2);
  CHECK(bench.sender->destroy(1000) == 0);
  CHECK_FALSE(bench.kernel.socket(fds[0]).wasReset);
  CHECK(bench.kernel.socket(fds[0]).writesEnded);
  CHECK(bench.kernel.socket(fds[1]).wasReset);
  CHECK(bench.kernel.socket(fds[2]).wasReset);
}
