#include "result_table.h"

#include "layout.h"

namespace ackgate {

ResultTable::ResultTable(int32_t* words, uint32_t capacity, uint32_t slots)
    : words_(words), capacity_(capacity) {
  // A slot has at most a send, a poll and its end under way; reserved so that a full table allocates nothing.
  backlog_.reserve(static_cast<size_t>(slots) * 3 + 1);
}

void ResultTable::begin() {
  count_ = 0;
  open_ = true;
  while (hasBacklog() && count_ < capacity_) {
    write(backlog_[backlogHead_++]);
  }
  if (!hasBacklog()) {
    discard();
  } else if (backlogHead_ > backlog_.size() / 2) {
    // Keeps the backlog inside what was reserved even when it never runs empty.
    backlog_.erase(backlog_.begin(), backlog_.begin() + static_cast<std::ptrdiff_t>(backlogHead_));
    backlogHead_ = 0;
  }
}

uint32_t ResultTable::end() {
  open_ = false;
  return count_;
}

void ResultTable::push(uint32_t op, uint32_t slot, uint32_t generation, int32_t value) {
  const Result result{op, slot, generation, value};
  // A backlog that is left means a full table: results keep their order.
  if (open_ && count_ < capacity_) {
    write(result);
  } else {
    backlog_.push_back(result);
  }
}

uint32_t ResultTable::room() const {
  if (open_) {
    return capacity_ - count_;
  }
  const size_t waiting = backlog_.size() - backlogHead_;
  return waiting < capacity_ ? capacity_ - static_cast<uint32_t>(waiting) : 0;
}

void ResultTable::discard() {
  backlog_.clear();
  backlogHead_ = 0;
}

void ResultTable::write(const Result& result) {
  int32_t* words = words_ + static_cast<size_t>(count_) * layout::resultWords;
  words[layout::result::op] = static_cast<int32_t>(result.op);
  words[layout::result::slot] = static_cast<int32_t>(result.slot);
  words[layout::result::generation] = static_cast<int32_t>(result.generation);
  words[layout::result::value] = result.value;
  count_++;
}

}  // namespace ackgate
