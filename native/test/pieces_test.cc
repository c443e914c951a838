#include <doctest/doctest.h>

#include <array>
#include <vector>

#include "../completion.h"
#include "../layout.h"
#include "../park_time.h"
#include "../result_table.h"
#include "../submission_queue.h"

using namespace ackgate;

TEST_CASE("user data gives back what was packed into it") {
  for (const What what :
       {What::send, What::poll, What::cancelSend, What::cancelPoll, What::wake, What::cancelWake}) {
    for (const uint32_t slot : {0U, 1U, 32767U, slotsMax - 1}) {
      for (const uint32_t generation : {0U, 1U, 0x80000000U, 0xffffffffU}) {
        const uint64_t packed = encodeUserData(what, slot, generation);
        CHECK(whatOf(packed) == what);
        CHECK(slotOf(packed) == slot);
        CHECK(generationOf(packed) == generation);
      }
    }
  }
}

TEST_CASE("a sleep is never longer than the limit, and never negative") {
  CHECK(parkNs(1) == 1000000);
  CHECK(parkNs(0.25) == 250000);
  CHECK(parkNs(1e300) == layout::parkMsMax * 1000000);
  CHECK(parkNs(-3) == 0);
  CHECK(parkNs(0.0 / 0.0) == 0);
}

TEST_CASE("results keep their order through a table that is too small") {
  constexpr size_t capacity = 3;
  std::array<int32_t, capacity * layout::resultWords> words{};
  ResultTable table(words.data(), capacity, 4);
  int32_t pushed = 0;
  int32_t seen = 0;
  const auto push = [&](int count) {
    for (int i = 0; i < count; i++) {
      table.push(layout::op::send, 0, 0, pushed++);
    }
  };
  const auto take = [&](uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
      CHECK(words[i * layout::resultWords + layout::result::value] == seen++);
    }
  };
  for (int round = 0; round < 50; round++) {
    push(round % 4);  // outside of a call
    table.begin();
    push(round % 3);
    take(table.end());
  }
  while (table.hasBacklog()) {
    table.begin();
    CHECK(table.room() + 0 <= capacity);
    take(table.end());
  }
  CHECK(seen == pushed);
}

TEST_CASE("a result table has room for as much as fits") {
  std::array<int32_t, size_t{2} * layout::resultWords> words{};
  ResultTable table(words.data(), 2, 4);
  CHECK(table.room() == 2);
  table.begin();
  table.push(1, 0, 0, 0);
  CHECK(table.room() == 1);
  table.push(1, 0, 0, 0);
  CHECK(table.room() == 0);
  table.push(1, 0, 0, 0);
  CHECK(table.room() == 0);
  CHECK(table.end() == 2);
  CHECK(table.room() == 1);
  CHECK(table.hasBacklog());
  table.discard();
  CHECK(table.room() == 2);
}

TEST_CASE("a submission queue is first in, first out, and can lose what matches") {
  SubmissionQueue queue(4);
  const auto push = [&queue](uint64_t id) { queue.push({id, nullptr, 0, 0, -1}); };
  uint64_t next = 0;
  uint64_t seen = 0;
  for (int round = 0; round < 40; round++) {
    push(next++);
    push(next++);
    CHECK(queue.data()->userData == seen);
    queue.pop(1);
    seen++;
  }
  CHECK(queue.size() == 40);
  std::vector<uint64_t> removed;
  queue.removeIf([](const Submission& item) { return item.userData % 2 == 0; },
                 [&removed](const Submission& item) { removed.push_back(item.userData); });
  CHECK(removed.size() == 20);
  CHECK(queue.size() == 20);
  for (uint32_t i = 1; i < queue.size(); i++) {
    CHECK(queue[i - 1].userData + 2 == queue[i].userData);
  }
  queue.removeIf([](const Submission&) { return true; }, [](const Submission&) {});
  CHECK(queue.empty());
}
