// Advice to the kernel about the arena of send buffers.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ackgate {

size_t pageBytes();
/** One byte per connection would otherwise make a huge page of them resident. */
void refuseHugePages(uint8_t* start, size_t bytes);
/** Gives back everything past the first page of a buffer that starts on a page; what is in it then, nobody
 * knows. */
void giveBackPages(uint8_t* start, size_t bytes);

}  // namespace ackgate
