#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ackgate {

/**
 * Results on their way to JavaScript, in the order in which they came.
 *
 * Between `begin` and `end` they are written into the caller's table; what does not fit, and what comes up
 * outside of a call, waits in a backlog that the next call hands over first.
 */
class ResultTable {
 public:
  ResultTable(int32_t* words, uint32_t capacity, uint32_t slots);

  void begin();
  /** Returns how many results the call has written. */
  uint32_t end();
  void push(uint32_t op, uint32_t slot, uint32_t generation, int32_t value);
  /** How many more results can be taken without growing the backlog past one table. */
  [[nodiscard]] uint32_t room() const;
  [[nodiscard]] bool hasBacklog() const { return backlogHead_ != backlog_.size(); }
  void discard();

 private:
  struct Result {
    uint32_t op;
    uint32_t slot;
    uint32_t generation;
    int32_t value;
  };

  void write(const Result& result);

  int32_t* words_;
  uint32_t capacity_;
  uint32_t count_ = 0;
  bool open_ = false;
  std::vector<Result> backlog_;
  size_t backlogHead_ = 0;
};

}  // namespace ackgate
