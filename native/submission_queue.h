#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernel_ops.h"

namespace ackgate {

/** First in, first out; starts over at its first place whenever it runs empty. */
class SubmissionQueue {
 public:
  explicit SubmissionQueue(size_t reserved) { items_.reserve(reserved); }

  [[nodiscard]] bool empty() const { return head_ == items_.size(); }
  [[nodiscard]] uint32_t size() const { return static_cast<uint32_t>(items_.size() - head_); }
  [[nodiscard]] const Submission* data() const { return items_.data() + head_; }
  [[nodiscard]] const Submission& operator[](size_t index) const { return items_[head_ + index]; }

  void push(const Submission& submission) { items_.push_back(submission); }

  void pop(uint32_t count) {
    head_ += count;
    if (empty()) {
      clear();
    } else if (head_ > items_.size() / 2) {
      items_.erase(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(head_));
      head_ = 0;
    }
  }

  void clear() {
    items_.clear();
    head_ = 0;
  }

  /** Takes out what `matches`, after handing it to `removed`. */
  template <typename Matches, typename Removed>
  void removeIf(const Matches& matches, const Removed& removed) {
    pop(0);
    size_t kept = head_;
    for (size_t i = head_; i < items_.size(); i++) {
      if (matches(items_[i])) {
        removed(items_[i]);
      } else {
        items_[kept++] = items_[i];
      }
    }
    items_.resize(kept);
    if (empty()) {
      clear();
    }
  }

 private:
  std::vector<Submission> items_;
  size_t head_ = 0;
};

}  // namespace ackgate
