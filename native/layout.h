// The numbers that both sides of the boundary share. src/egress/sender.ts declares the same ones in
// TypeScript; the addon exports these and they are compared when it is loaded.
//
//   request   | op | slot | generation | offset | length |      requestWords × uint32
//   result    | op | slot | generation | value  |               resultWords  × int32
#pragma once

#include <cstdint>

namespace ackgate::layout {

constexpr uint32_t sendBufferBytes = 65536;
constexpr uint32_t parkMsMax = 50;

constexpr uint32_t requestWords = 5;
namespace request {
constexpr uint32_t op = 0;
constexpr uint32_t slot = 1;
constexpr uint32_t generation = 2;
constexpr uint32_t offset = 3;
constexpr uint32_t length = 4;
}  // namespace request

constexpr uint32_t resultWords = 4;
namespace result {
constexpr uint32_t op = 0;
constexpr uint32_t slot = 1;
constexpr uint32_t generation = 2;
constexpr uint32_t value = 3;
}  // namespace result

namespace op {
constexpr uint32_t send = 1;
constexpr uint32_t poll = 2;
constexpr uint32_t closed = 3;
}  // namespace op

namespace how {
constexpr uint32_t orderly = 0;
constexpr uint32_t reset = 1;
}  // namespace how

constexpr uint32_t stateWords = 8;
namespace state {
constexpr uint32_t submitErrno = 0;
constexpr uint32_t unsubmitted = 1;
constexpr uint32_t underWay = 2;
constexpr uint32_t more = 3;
constexpr uint32_t overflows = 4;
}  // namespace state

}  // namespace ackgate::layout
