// Commands, one a line, each answered with one line of JSON: responses, and the CPU and wall time of the
// sending thread.
//
//   rounds N FRAMES BYTES ORDER
//       N rounds of FRAMES frames with BYTES of body to every connection. ORDER is `grouped` (a connection's
//       frames in a row) or `interleaved` (one to each in turn).
//   rotating N SOME FRAMES BYTES
//       N rounds, each of FRAMES frames to SOME connections: the next ones of an order that was shuffled
//       once.
//   paced RATE TICK SECONDS BYTES
//       Open loop: RATE frames a second, TICK of them at a time, to the connections in turn. A body starts
//       with the time that its frame was meant for, as a little-endian u64 of monotonic nanoseconds. Whoever
//       is late catches up and the time meant stays, so that lateness counts as latency.
//   windowed COUNT FRAMES BYTES
//       COUNT rounds of FRAMES frames to every connection, two of them at once: the third starts when a byte
//       in the FIFO says that the first has arrived, and so on.
//   answer COUNT BYTES
//       COUNT times: waits for a byte in the FIFO and answers the first connection with a frame that is
//       stamped with the time of publishing.
//   twice COUNT BYTES GAP NODELAY
//       The same in two parts: a frame, and GAP microseconds later a second one, stamped then. NODELAY 0
//       leaves the socket as the system makes it, which is what not to do.
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common.h"

/** Different frames are sent in turn, so that they are not always the same line of the cache. */
enum { framesInTurn = 1024, windows = 2 };
static const uint64_t firstId = 1;

static uint8_t* makeFrames(uint32_t bodyBytes) {
  const size_t frameBytes = headerBytes + bodyBytes;
  uint8_t* frames = zeroed(framesInTurn, frameBytes);
  for (uint32_t i = 0; i < framesInTurn; i++) {
    uint8_t* frame = frames + i * frameBytes;
    memcpy(frame, &bodyBytes, headerBytes);
    memset(frame + headerBytes, (int)(i & 0xff), bodyBytes);
  }
  return frames;
}

static void answerRounds(uint64_t responses, uint64_t cpuNs, uint64_t wallNs) {
  printf("{\"responses\":%" PRIu64 ",\"cpuNs\":%" PRIu64 ",\"wallNs\":%" PRIu64 "}\n", responses, cpuNs,
         wallNs);
  fflush(stdout);
}

static void rounds(const struct Egress* egress, uint32_t connections, uint64_t count, uint32_t perRound,
                   uint32_t bodyBytes, int grouped) {
  uint8_t* frames = makeFrames(bodyBytes);
  const size_t frameBytes = headerBytes + bodyBytes;
  const uint32_t outer = grouped ? connections : perRound;
  const uint32_t inner = grouped ? perRound : connections;
  uint32_t turn = 0;
  const uint64_t startNs = nowNs();
  const uint64_t startCpuNs = threadCpuNs();
  for (uint64_t round = 0; round < count; round++) {
    for (uint32_t i = 0; i < outer; i++) {
      for (uint32_t j = 0; j < inner; j++) {
        const uint64_t id = firstId + (grouped ? i : j);
        egress->append(id, frames + (turn++ % framesInTurn) * frameBytes, frameBytes);
      }
    }
    egress->flush();
  }
  const uint64_t cpuNs = threadCpuNs() - startCpuNs;
  const uint64_t wallNs = nowNs() - startNs;
  answerRounds(count * perRound * connections, cpuNs, wallNs);
  free(frames);
}

static uint32_t* shuffledIds(uint32_t connections) {
  uint32_t* order = zeroed(connections, sizeof(uint32_t));
  uint32_t state = 1;
  for (uint32_t i = 0; i < connections; i++) {
    state = state * 1664525u + 1013904223u;
    const uint32_t at = (uint32_t)(((uint64_t)state * (i + 1)) >> 32);
    order[i] = order[at];
    order[at] = firstId + i;
  }
  return order;
}

static void rotating(const struct Egress* egress, uint32_t connections, uint64_t count, uint32_t some,
                     uint32_t perRound, uint32_t bodyBytes) {
  static uint32_t* order = NULL;
  static uint32_t next = 0;
  if (order == NULL) order = shuffledIds(connections);
  uint8_t* frames = makeFrames(bodyBytes);
  const size_t frameBytes = headerBytes + bodyBytes;
  uint32_t turn = 0;
  const uint64_t startNs = nowNs();
  const uint64_t startCpuNs = threadCpuNs();
  for (uint64_t round = 0; round < count; round++) {
    for (uint32_t i = 0; i < some; i++) {
      for (uint32_t j = 0; j < perRound; j++) {
        egress->append(order[next], frames + (turn++ % framesInTurn) * frameBytes, frameBytes);
      }
      next = next + 1 == connections ? 0 : next + 1;
    }
    egress->flush();
  }
  const uint64_t cpuNs = threadCpuNs() - startCpuNs;
  const uint64_t wallNs = nowNs() - startNs;
  answerRounds(count * some * perRound, cpuNs, wallNs);
  free(frames);
}

static void sleepUntil(uint64_t ns) {
  const struct timespec until = {.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {
  }
}

static void paced(const struct Egress* egress, uint32_t connections, double rate, uint32_t perTick,
                  double seconds, uint32_t bodyBytes) {
  const size_t frameBytes = headerBytes + bodyBytes;
  uint8_t* frame = zeroed(1, frameBytes);
  memcpy(frame, &bodyBytes, headerBytes);
  const double tickNs = perTick * 1e9 / rate;
  const uint64_t ticks = (uint64_t)(seconds * 1e9 / tickNs);
  // What all send buffers take together: who is later than that flushes in between.
  const uint64_t flushAfter = (uint64_t)connections * (sendBufferBytes / frameBytes);
  const uint64_t startCpuNs = threadCpuNs();
  const uint64_t startNs = nowNs() + 1000000;
  uint32_t turn = 0;
  for (uint64_t tick = 0; tick < ticks;) {
    const uint64_t now = nowNs();
    uint64_t appended = 0;
    uint64_t meantNs = 0;
    for (; tick < ticks && appended + perTick <= flushAfter; tick++) {
      meantNs = startNs + (uint64_t)((double)tick * tickNs);
      if (meantNs > now) break;
      memcpy(frame + headerBytes, &meantNs, sizeof(meantNs));
      for (uint32_t i = 0; i < perTick; i++) {
        egress->append(firstId + turn, frame, frameBytes);
        turn = turn + 1 == connections ? 0 : turn + 1;
      }
      appended += perTick;
    }
    if (appended > 0)
      egress->flush();
    else
      sleepUntil(meantNs);
  }
  const uint64_t wallNs = nowNs() - startNs;
  answerRounds(ticks * perTick, threadCpuNs() - startCpuNs, wallNs);
  free(frame);
}

static void awaitByte(int fifo) {
  uint8_t byte;
  if (read(fifo, &byte, 1) != 1) fail("fifo");
}

static void windowed(const struct Egress* egress, int fifo, uint32_t connections, uint32_t count,
                     uint32_t perRound, uint32_t bodyBytes) {
  uint8_t* frames = makeFrames(bodyBytes);
  const size_t frameBytes = headerBytes + bodyBytes;
  uint32_t turn = 0;
  const uint64_t startCpuNs = threadCpuNs();
  const uint64_t startNs = nowNs();
  for (uint32_t round = 0; round < count; round++) {
    if (round >= windows) awaitByte(fifo);
    for (uint32_t i = 0; i < perRound; i++) {
      for (uint32_t j = 0; j < connections; j++) {
        egress->append(firstId + j, frames + (turn++ % framesInTurn) * frameBytes, frameBytes);
      }
    }
    egress->flush();
  }
  for (uint32_t left = count < windows ? count : windows; left > 0; left--) awaitByte(fifo);
  answerRounds((uint64_t)count * perRound * connections, threadCpuNs() - startCpuNs, nowNs() - startNs);
  free(frames);
}

static void publishStamped(const struct Egress* egress, uint8_t* frame, size_t frameBytes) {
  const uint64_t stamp = nowNs();
  memcpy(frame + headerBytes, &stamp, sizeof(stamp));
  egress->append(firstId, frame, frameBytes);
  egress->flush();
}

/** One answer per byte in the FIFO; with a gap a second frame so many nanoseconds after the first. */
static void answer(const struct Egress* egress, int fifo, uint32_t count, uint32_t bodyBytes,
                   uint64_t gapNs) {
  const size_t frameBytes = headerBytes + bodyBytes;
  uint8_t* frame = zeroed(1, frameBytes);
  memcpy(frame, &bodyBytes, headerBytes);
  const uint64_t startCpuNs = threadCpuNs();
  const uint64_t startNs = nowNs();
  for (uint32_t i = 0; i < count; i++) {
    awaitByte(fifo);
    const uint64_t untilNs = nowNs() + gapNs;
    publishStamped(egress, frame, frameBytes);
    if (gapNs == 0) continue;
    while (nowNs() < untilNs) {
    }
    publishStamped(egress, frame, frameBytes);
  }
  answerRounds(gapNs == 0 ? count : 2 * count, threadCpuNs() - startCpuNs, nowNs() - startNs);
  free(frame);
}

static void setNoDelay(const int* fds, uint32_t connections, int on) {
  for (uint32_t i = 0; i < connections; i++) {
    if (setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0) fail("setsockopt");
  }
}

int serve(int argc, char** argv, const struct Egress* egress) {
  if (argc != 2 && argc != 3) {
    fprintf(stderr, "usage: %s CONNECTIONS [FIFO]\n", argv[0]);
    return 2;
  }
  // For writing too, so that opening it waits for nobody.
  const int fifo = argc == 3 ? open(argv[2], O_RDWR | O_CLOEXEC) : -1;
  if (argc == 3 && fifo < 0) fail(argv[2]);
  raiseFdLimit();
  const uint32_t connections = (uint32_t)strtoul(argv[1], NULL, 10);
  int* fds = acceptAnnounced(connections);
  egress->open(connections, fds, firstId);
  printf("{\"ready\":true,\"thread\":%d}\n", (int)getpid());
  fflush(stdout);

  struct LineReader input = {.fd = STDIN_FILENO};
  char line[lineBytesMax];
  while (readLine(&input, line)) {
    uint64_t count;
    uint32_t perRound;
    uint32_t some;
    uint32_t bodyBytes;
    char order[16];
    double rate;
    double seconds;
    uint32_t requests;
    uint32_t gapUs;
    int noDelay;
    if (sscanf(line, "rounds %" SCNu64 " %u %u %15s", &count, &perRound, &bodyBytes, order) == 4 &&
        (size_t)perRound * (headerBytes + bodyBytes) <= sendBufferBytes) {
      rounds(egress, connections, count, perRound, bodyBytes, strcmp(order, "grouped") == 0);
    } else if (sscanf(line, "rotating %" SCNu64 " %u %u %u", &count, &some, &perRound, &bodyBytes) == 4 &&
               some > 0 && some <= connections &&
               (size_t)perRound * (headerBytes + bodyBytes) <= sendBufferBytes) {
      rotating(egress, connections, count, some, perRound, bodyBytes);
    } else if (sscanf(line, "paced %lf %u %lf %u", &rate, &perRound, &seconds, &bodyBytes) == 4 && rate > 0 &&
               perRound > 0 && bodyBytes >= sizeof(uint64_t) && headerBytes + bodyBytes <= sendBufferBytes &&
               perRound <= connections * (sendBufferBytes / (headerBytes + bodyBytes))) {
      paced(egress, connections, rate, perRound, seconds, bodyBytes);
    } else if (fifo >= 0 && sscanf(line, "windowed %u %u %u", &requests, &perRound, &bodyBytes) == 3 &&
               (size_t)perRound * (headerBytes + bodyBytes) <= sendBufferBytes) {
      windowed(egress, fifo, connections, requests, perRound, bodyBytes);
    } else if (fifo >= 0 && sscanf(line, "answer %u %u", &requests, &bodyBytes) == 2 &&
               bodyBytes >= sizeof(uint64_t) && headerBytes + bodyBytes <= sendBufferBytes) {
      answer(egress, fifo, requests, bodyBytes, 0);
    } else if (fifo >= 0 && sscanf(line, "twice %u %u %u %d", &requests, &bodyBytes, &gapUs, &noDelay) == 4 &&
               bodyBytes >= sizeof(uint64_t) && headerBytes + bodyBytes <= sendBufferBytes) {
      setNoDelay(fds, connections, noDelay);
      answer(egress, fifo, requests, bodyBytes, gapUs * 1000ull);
      setNoDelay(fds, connections, 1);
    } else {
      fprintf(stderr, "unknown command: %s\n", line);
      return 2;
    }
  }
  return 0;
}
