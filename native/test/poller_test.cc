// The pollers over real sockets, and what wakes them.
#include <doctest/doctest.h>
#include <poll.h>

#include <array>
#include <ctime>
#include <deque>
#include <set>
#include <thread>
#include <vector>

#include "../create_sender.h"
#include "../epoll_poller.h"
#include "../poll_poller.h"
#include "../wake_descriptor.h"
#include "socket_pair.h"

using namespace ackgate;
using namespace ackgate::test;

namespace {

/** Longer than any test takes that does not sleep to the end. */
constexpr uint64_t hangNs = 20'000'000'000;

std::vector<std::unique_ptr<PollerOps>> allPollers() {
  std::vector<std::unique_ptr<PollerOps>> pollers;
  pollers.push_back(std::make_unique<PollPoller>(8));
#if ACKGATE_LINUX
  int error = 0;
  pollers.push_back(EpollPoller::create(&error));
  REQUIRE(error == 0);
#endif
  return pollers;
}

std::vector<Readiness> takeFrom(PollerOps& poller, uint32_t max = 64) {
  std::vector<Readiness> all(max);
  all.resize(poller.take(all.data(), max));
  return all;
}

bool isReadable(int fd) {
  pollfd source{fd, POLLIN, 0};
  return ::poll(&source, 1, 0) == 1;
}

double secondsNow() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

}  // namespace

TEST_CASE("a poller tells of room once for each arming") {
  for (const auto& poller : allPollers()) {
    const SocketPair pair;
    pair.fill();
    CHECK(poller->arm(pair.near(), 3, 7, false) == 0);
    CHECK(takeFrom(*poller).empty());
    for (int round = 0; round < 3; round++) {
      pair.drain();
      const auto told = takeFrom(*poller);
      REQUIRE(told.size() == 1);
      CHECK(told[0].slot == 3);
      CHECK(told[0].generation == 7);
      CHECK((told[0].events & POLLOUT) == POLLOUT);
      CHECK(takeFrom(*poller).empty());
      CHECK(poller->arm(pair.near(), 3, 7, true) == 0);
    }
    poller->close();
  }
}

TEST_CASE("a poller tells that the peer has gone") {
  for (const auto& poller : allPollers()) {
    SocketPair pair;
    pair.fill();
    CHECK(poller->arm(pair.near(), 0, 1, false) == 0);
    CHECK(takeFrom(*poller).empty());
    shutdown(pair.far(), SHUT_RDWR);
    CHECK(takeFrom(*poller).size() == 1);
  }
}

TEST_CASE("a poller says nothing of what it has forgotten") {
  for (const auto& poller : allPollers()) {
    const std::array<SocketPair, 3> pairs;
    for (uint32_t slot = 0; slot < pairs.size(); slot++) {
      CHECK(poller->arm(pairs[slot].near(), slot, 1, false) == 0);
    }
    poller->forget(pairs[1].near());
    poller->forget(pairs[1].near());
    std::set<uint32_t> told;
    for (const Readiness& ready : takeFrom(*poller)) {
      told.insert(ready.slot);
    }
    CHECK(told == std::set<uint32_t>{0, 2});
  }
}

TEST_CASE("a poller passes nobody over, however little is taken at a time") {
  std::deque<SocketPair> pairs(10);
  PollPoller poller(10, 3);
  std::vector<int> told(pairs.size());
  for (uint32_t slot = 0; slot < pairs.size(); slot++) {
    poller.arm(pairs[slot].near(), slot, 1, false);
  }
  pairs[4].fill();
  for (int round = 0; round < 90; round++) {
    const auto ready = takeFrom(poller, 2);
    CHECK(ready.size() == 2);
    for (const Readiness& one : ready) {
      told[one.slot]++;
      poller.arm(pairs[one.slot].near(), one.slot, 1, true);
    }
  }
  for (uint32_t slot = 0; slot < pairs.size(); slot++) {
    CHECK(told[slot] == (slot == 4 ? 0 : 20));
  }
}

TEST_CASE("room or a wake ends a sleep") {
  for (const auto& poller : allPollers()) {
    const SocketPair pair;
    const int wakeFd = createWakeDescriptor();
    pair.fill();
    CHECK(poller->arm(pair.near(), 0, 1, false) == 0);
    const double began = secondsNow();
    std::thread waker([wakeFd] { CHECK(wake(wakeFd) == 0); });
    poller->sleep(wakeFd, hangNs);
    waker.join();
    CHECK(isReadable(wakeFd));
    clearWake(wakeFd);
    std::thread reader([&pair] { pair.drain(); });
    poller->sleep(wakeFd, hangNs);
    reader.join();
    CHECK(takeFrom(*poller).size() == 1);
    CHECK(secondsNow() - began < 20);
    poller->sleep(wakeFd, 1);
    CHECK(!isReadable(wakeFd));
    closeDescriptor(wakeFd);
  }
}

TEST_CASE("a sleep sees room behind more sockets than one call names") {
  std::deque<SocketPair> pairs(7);
  PollPoller poller(7, 2);
  for (uint32_t slot = 0; slot < pairs.size(); slot++) {
    pairs[slot].fill();
    poller.arm(pairs[slot].near(), slot, 1, false);
  }
  const int wakeFd = createWakeDescriptor();
  pairs[6].drain();
  const double began = secondsNow();
  poller.sleep(wakeFd, hangNs);
  CHECK(secondsNow() - began < 20);
  const auto told = takeFrom(poller);
  REQUIRE(told.size() == 1);
  CHECK(told[0].slot == 6);
  closeDescriptor(wakeFd);
}

TEST_CASE("wakes add up to one, however many, and a duplicate is as good") {
  const int wakeFd = createWakeDescriptor();
  REQUIRE(wakeFd > 2);
  const int other = duplicateDescriptor(wakeFd);
  CHECK(!isReadable(wakeFd));
  // More than a pipe holds.
  for (int i = 0; i < 20'000; i++) {
    CHECK(wake(i % 2 == 0 ? wakeFd : other) == 0);
  }
  CHECK(isReadable(wakeFd));
  clearWake(wakeFd);
  CHECK(!isReadable(wakeFd));
  clearWake(wakeFd);
  CHECK(wake(other) == 0);
  CHECK(isReadable(wakeFd));
  closeDescriptor(other);
  closeDescriptor(wakeFd);
  CHECK(wake(wakeFd) == -EBADF);
}
