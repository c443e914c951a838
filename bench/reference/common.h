// What the reference programs share: clocks, loopback sockets, one command a line on standard input.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Bytes of a frame before its body: a little-endian length, as the stage's default framing has it. */
enum { headerBytes = 4, lineBytesMax = 512 };

/** Prints what failed, with errno, and exits with 1. */
void fail(const char* what);

/** Monotonic nanoseconds; the clock of process.hrtime(). */
uint64_t nowNs(void);
/** Nanoseconds of CPU that the calling thread has used. */
uint64_t threadCpuNs(void);

/** Lifts the soft limit of descriptors to the hard one. */
void raiseFdLimit(void);
/** Listens on 127.0.0.1, prints the port as a line of JSON, and accepts `count` connections, with TCP_NODELAY. */
int* acceptAnnounced(uint32_t count);
/** Connects to 127.0.0.1, non-blocking from then on. */
int connectLoopback(uint16_t port);
/** The same with SO_RCVBUF and TCP_MAXSEG; 0: the system's own. */
int connectLoopbackWith(uint16_t port, int receiveBytes, int segmentBytes);

/** Memory of zeros, or exit. */
void* zeroed(size_t count, size_t size);

/** Lines read from a descriptor. False at the end of it. */
struct LineReader {
  int fd;
  size_t used;
  char bytes[lineBytesMax];
};
bool readLine(struct LineReader* reader, char* line);
