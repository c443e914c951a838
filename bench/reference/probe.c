// A client that measures. Every frame has a little-endian u64 of monotonic nanoseconds at the start of its
// body: when it was published, or was meant to be. It sleeps in the kernel while nothing comes, as clients
// do.
//
//   probe PORT CONNECTIONS FIFO
//
// Commands, one a line, each answered with one line of JSON. What is measured goes to FILE as raw u32
// nanoseconds.
//
//   pingpong COUNT BYTES FILE
//       COUNT times: asks (one byte into the FIFO) and reads the answer, a frame with BYTES of body. All
//       round trips, then all ways from the stamp to here.
//   twice COUNT BYTES FILE
//       The same for answers of two frames, the second stamped when it was published: from that stamp to
//       here. A byte goes to the sender's socket too, which nobody reads: kernels hold acknowledgements back
//       for those who talk.
//   record BYTES EVERY
//       From now on frames are counted, and the time since their stamp is kept. For each EVERY of them a byte
//       goes into the FIFO (0: none).
//   collect FRAMES FILE
//       Answers once FRAMES have come; `-` keeps nothing.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common.h"

enum { samplesMax = 1 << 23, readBytes = 1 << 18, bodyBytesMax = 1024, eventsMax = 512 };
static const uint64_t commandKey = UINT64_MAX;

struct Connection {
  int fd;
  /** The start of a frame whose rest has not come. */
  uint32_t carried;
  uint8_t carry[headerBytes + bodyBytesMax];
};

static struct Connection* connections;
static uint32_t* samples;
static uint8_t* buffer;
static uint32_t bodyBytes;
static uint64_t frames;
static uint64_t awaited = UINT64_MAX;
static uint64_t firstNs;
static uint64_t lastNs;
static uint32_t every;
static int fifo;
static char target[lineBytesMax];

static uint32_t span(uint64_t fromNs, uint64_t toNs) {
  const uint64_t ns = toNs > fromNs ? toNs - fromNs : 0;
  return ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
}

/** When the frame was published; ends the program when it is no frame of the size that is expected. */
static uint64_t stampOf(const uint8_t* frame) {
  uint32_t length;
  uint64_t stamp;
  memcpy(&length, frame, headerBytes);
  if (length != bodyBytes) {
    fprintf(stderr, "a frame says %u bytes instead of %u\n", length, bodyBytes);
    exit(1);
  }
  memcpy(&stamp, frame + headerBytes, sizeof(stamp));
  return stamp;
}

static void dump(const char* path, uint64_t count) {
  FILE* file = fopen(path, "wb");
  if (file == NULL || fwrite(samples, sizeof(uint32_t), count, file) != count || fclose(file) != 0)
    fail(path);
}

static void setBodyBytes(uint32_t bytes) {
  if (bytes < sizeof(uint64_t) || bytes > bodyBytesMax) {
    fprintf(stderr, "%u bytes of body are not from 8 to %d\n", bytes, bodyBytesMax);
    exit(2);
  }
  bodyBytes = bytes;
}

static void ask(void) {
  if (write(fifo, "?", 1) != 1) fail("fifo");
}

static void receive(struct Connection* connection) {
  memcpy(buffer, connection->carry, connection->carried);
  const ssize_t count = recv(connection->fd, buffer + connection->carried, readBytes, 0);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count <= 0) {
    fprintf(stderr, "a connection was closed\n");
    exit(1);
  }
  const uint64_t now = nowNs();
  const size_t frameBytes = headerBytes + bodyBytes;
  const size_t length = connection->carried + (size_t)count;
  size_t at = 0;
  for (; at + frameBytes <= length; at += frameBytes) {
    const uint32_t ns = span(stampOf(buffer + at), now);
    if (frames < samplesMax) samples[frames] = ns;
    if (frames++ == 0) firstNs = now;
    if (every != 0 && frames % every == 0) ask();
  }
  lastNs = now;
  connection->carried = (uint32_t)(length - at);
  memcpy(connection->carry, buffer + at, connection->carried);
}

static void collected(void) {
  if (target[0] != '-') {
    if (frames > samplesMax) {
      fprintf(stderr, "%" PRIu64 " frames are more than can be kept\n", frames);
      exit(1);
    }
    dump(target, frames);
  }
  printf("{\"frames\":%" PRIu64 ",\"wallNs\":%" PRIu64 "}\n", frames, lastNs - firstNs);
  fflush(stdout);
  awaited = UINT64_MAX;
}

/** Blocks until a whole frame is there; returns its stamp. */
static uint64_t awaitFrame(int fd) {
  const ssize_t frameBytes = headerBytes + bodyBytes;
  for (ssize_t have = 0; have < frameBytes;) {
    const ssize_t count = recv(fd, buffer + have, (size_t)(frameBytes - have), 0);
    if (count == 0 || (count < 0 && errno != EINTR)) fail("recv");
    have += count > 0 ? count : 0;
  }
  return stampOf(buffer);
}

static void pingpong(uint32_t count, const char* path, bool two) {
  const int fd = connections[0].fd;
  if (fcntl(fd, F_SETFL, 0) < 0) fail("fcntl");
  for (uint32_t i = 0; i < count; i++) {
    const uint64_t askedNs = nowNs();
    if (two && send(fd, "?", 1, MSG_NOSIGNAL) != 1) fail("send");
    ask();
    if (two) awaitFrame(fd);
    const uint64_t stamp = awaitFrame(fd);
    const uint64_t now = nowNs();
    samples[i] = two ? span(stamp, now) : span(askedNs, now);
    samples[count + i] = span(stamp, now);
  }
  if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0) fail("fcntl");
  dump(path, two ? count : 2 * count);
  printf("{\"count\":%u}\n", count);
  fflush(stdout);
}

static int command(const char* line) {
  uint32_t count;
  uint32_t bytes;
  char path[lineBytesMax];
  if (sscanf(line, "pingpong %u %u %511s", &count, &bytes, path) == 3 && count <= samplesMax / 2) {
    setBodyBytes(bytes);
    pingpong(count, path, false);
  } else if (sscanf(line, "twice %u %u %511s", &count, &bytes, path) == 3 && count <= samplesMax / 2) {
    setBodyBytes(bytes);
    pingpong(count, path, true);
  } else if (sscanf(line, "record %u %u", &bytes, &every) == 2) {
    setBodyBytes(bytes);
    frames = 0;
    printf("{\"recording\":true}\n");
    fflush(stdout);
  } else if (sscanf(line, "collect %" SCNu64 " %511s", &awaited, target) != 2) {
    fprintf(stderr, "unknown command: %s\n", line);
    return 2;
  }
  return 0;
}

static void watch(int epoll, int fd, uint64_t key) {
  struct epoll_event event = {.events = EPOLLIN, .data = {.u64 = key}};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) fail("epoll_ctl");
}

int main(int argc, char** argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: %s PORT CONNECTIONS FIFO\n", argv[0]);
    return 2;
  }
  raiseFdLimit();
  const uint16_t port = (uint16_t)strtoul(argv[1], NULL, 10);
  const uint32_t count = (uint32_t)strtoul(argv[2], NULL, 10);
  // For reading too, so that opening it waits for nobody.
  fifo = open(argv[3], O_RDWR | O_CLOEXEC);
  if (fifo < 0) fail(argv[3]);
  connections = zeroed(count, sizeof(struct Connection));
  samples = zeroed(samplesMax, sizeof(uint32_t));
  buffer = zeroed(1, sizeof(connections->carry) + readBytes);
  // Now, so that no sample pays for the first touch of its page.
  memset(samples, 1, samplesMax * sizeof(uint32_t));
  memset(buffer, 1, readBytes);
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  for (uint32_t i = 0; i < count; i++) {
    connections[i].fd = connectLoopback(port);
    watch(epoll, connections[i].fd, i);
  }
  watch(epoll, STDIN_FILENO, commandKey);
  struct LineReader input = {.fd = STDIN_FILENO};
  struct epoll_event events[eventsMax];
  for (;;) {
    const int ready = epoll_wait(epoll, events, eventsMax, -1);
    for (int i = 0; i < ready; i++) {
      if (events[i].data.u64 == commandKey) {
        char line[lineBytesMax];
        if (!readLine(&input, line)) return 0;
        const int code = command(line);
        if (code != 0) return code;
      } else {
        receive(&connections[events[i].data.u64]);
      }
    }
    if (frames >= awaited) collected();
  }
}
