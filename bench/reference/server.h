// The part of a sending program that is the same for `limit` and `classic`: connections, and rounds on command.
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { sendBufferBytes = 65536 };

/** What each of them does in its own way. A connection is named by its id, `firstId` and up. */
struct Egress {
  void (*open)(uint32_t connections, const int* fds, uint64_t firstId);
  /** Appends a whole frame to the connection's send buffer. */
  void (*append)(uint64_t id, const uint8_t* frame, size_t length);
  /** Hands all that was appended to the kernel. When it returns, frames may be appended again. */
  void (*flush)(void);
};

/** Listens, prints its port, accepts, and does what it is told; the main program of both. */
int serve(int argc, char** argv, const struct Egress* egress);
