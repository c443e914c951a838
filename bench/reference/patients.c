// Clients of bench/62-isolation.mjs: healthy ones, which keep how late each frame came, and sick ones. A
// frame's body starts with a little-endian u64 of monotonic nanoseconds: when the frame was meant to be sent.
// They sleep in the kernel while nothing comes, as clients do.
//
//   patients PORT
//
// Commands, one a line, each answered with one line of JSON:
//
//   connect COUNT RCVBUF MSS     connects COUNT more; SO_RCVBUF and TCP_MAXSEG of each, 0: the system's own
//   record                       from now on, frames are counted and their lateness is kept
//   collect FRAMES MS FILE       answers once FRAMES have come since, or after MS; writes the lateness of
//   each as raw u32
//                                nanoseconds in the order of arrival; `-` keeps nothing
//   sick stopped                 nobody reads any more: all windows close
//   sick trickle BYTES MS        everybody takes BYTES every MS
//   sick reset MS                one after another, MS apart, resets
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common.h"

enum { clientsMax = 4096, samplesMax = 1 << 20, readBytes = 1 << 18, bodyBytesMax = 4096, eventsMax = 512 };
enum Sickness { healthy, stopped, trickle, reset };
static const uint64_t commandKey = UINT64_MAX;
static const uint64_t never = UINT64_MAX;

struct Client {
  int fd;
  /** Frames since `record`. */
  uint32_t frames;
  /** The start of a frame whose rest has not come. */
  uint32_t carried;
  uint8_t carry[headerBytes + bodyBytesMax];
};

static int epoll;
static uint16_t port;
static struct Client* clients;
static uint32_t clientCount;
static uint32_t* samples;
static uint8_t* buffer;

static uint64_t frames;
static uint64_t firstStampNs;

static uint64_t awaited;
static uint64_t awaitUntilNs = UINT64_MAX;
static char target[lineBytesMax];

static enum Sickness sickness = healthy;
static uint32_t trickleBytes;
static uint64_t turnNs;
static uint64_t nextTurnNs = UINT64_MAX;
static uint32_t resets;

static void watch(int fd, uint64_t key) {
  struct epoll_event event = {.events = EPOLLIN, .data = {.u64 = key}};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) fail("epoll_ctl");
}

static void done(void) {
  printf("{\"done\":true}\n");
  fflush(stdout);
}

static void connectMore(uint32_t count, int receiveBytes, int segmentBytes) {
  if (clientCount + count > clientsMax) {
    fprintf(stderr, "%u clients are more than %d\n", clientCount + count, clientsMax);
    exit(2);
  }
  for (; count > 0; count--, clientCount++) {
    clients[clientCount].fd = connectLoopbackWith(port, receiveBytes, segmentBytes);
    watch(clients[clientCount].fd, clientCount);
  }
  done();
}

static void leave(struct Client* client) {
  close(client->fd);
  client->fd = -1;
}

static void keep(const uint8_t* frame, uint64_t now) {
  uint64_t stamp;
  memcpy(&stamp, frame + headerBytes, sizeof(stamp));
  const uint64_t late = now > stamp ? now - stamp : 0;
  if (frames == samplesMax) {
    fprintf(stderr, "%d frames are all that can be kept\n", samplesMax);
    exit(1);
  }
  samples[frames++] = late < UINT32_MAX ? (uint32_t)late : UINT32_MAX;
  if (stamp < firstStampNs) firstStampNs = stamp;
}

static void receive(struct Client* client) {
  memcpy(buffer, client->carry, client->carried);
  const ssize_t count = recv(client->fd, buffer + client->carried, readBytes, 0);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count <= 0) {
    leave(client);
    return;
  }
  const uint64_t now = nowNs();
  const size_t length = client->carried + (size_t)count;
  size_t at = 0;
  while (length - at >= headerBytes) {
    uint32_t bodyBytes;
    memcpy(&bodyBytes, buffer + at, headerBytes);
    if (bodyBytes < sizeof(uint64_t) || bodyBytes > bodyBytesMax) {
      fprintf(stderr, "no frame has a body of %u bytes\n", bodyBytes);
      exit(1);
    }
    if (length - at < headerBytes + bodyBytes) break;
    keep(buffer + at, now);
    client->frames++;
    at += headerBytes + bodyBytes;
  }
  client->carried = (uint32_t)(length - at);
  memcpy(client->carry, buffer + at, client->carried);
}

static void record(void) {
  frames = 0;
  firstStampNs = UINT64_MAX;
  for (uint32_t i = 0; i < clientCount; i++) clients[i].frames = 0;
  done();
}

static void collected(void) {
  if (strcmp(target, "-") != 0) {
    FILE* file = fopen(target, "wb");
    if (file == NULL || fwrite(samples, sizeof(uint32_t), frames, file) != frames || fclose(file) != 0)
      fail(target);
  }
  printf("{\"frames\":%" PRIu64 ",\"firstStampNs\":%" PRIu64 ",\"nowNs\":%" PRIu64 ",\"perClient\":[", frames,
         frames > 0 ? firstStampNs : 0, nowNs());
  for (uint32_t i = 0; i < clientCount; i++) printf("%s%u", i == 0 ? "" : ",", clients[i].frames);
  printf("]}\n");
  fflush(stdout);
  awaitUntilNs = never;
}

static void fallIll(enum Sickness with, uint32_t everyMs) {
  sickness = with;
  turnNs = everyMs * 1000000ull;
  nextTurnNs = with == stopped ? never : nowNs() + turnNs;
  // Who resets reads until then: it is a client that crashes, not one that was slow before.
  for (uint32_t i = 0; with != reset && i < clientCount; i++) {
    if (clients[i].fd >= 0 && epoll_ctl(epoll, EPOLL_CTL_DEL, clients[i].fd, NULL) < 0) fail("epoll_ctl");
  }
  done();
}

static void takeTurn(void) {
  nextTurnNs += turnNs;
  if (sickness == trickle) {
    for (uint32_t i = 0; i < clientCount; i++) {
      if (clients[i].fd >= 0 && recv(clients[i].fd, buffer, trickleBytes, 0) == 0) leave(&clients[i]);
    }
    return;
  }
  const struct linger atOnce = {.l_onoff = 1, .l_linger = 0};
  struct Client* client = &clients[resets++];
  if (client->fd >= 0) {
    if (setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &atOnce, sizeof(atOnce)) < 0) fail("linger");
    leave(client);
  }
  if (resets == clientCount) nextTurnNs = never;
}

static int command(const char* line) {
  uint32_t count;
  int receiveBytes;
  int segmentBytes;
  uint32_t ms;
  if (sscanf(line, "connect %u %d %d", &count, &receiveBytes, &segmentBytes) == 3) {
    connectMore(count, receiveBytes, segmentBytes);
  } else if (strcmp(line, "record") == 0) {
    record();
  } else if (sscanf(line, "collect %" SCNu64 " %u %511s", &awaited, &ms, target) == 3) {
    awaitUntilNs = nowNs() + ms * 1000000ull;
  } else if (strcmp(line, "sick stopped") == 0) {
    fallIll(stopped, 0);
  } else if (sscanf(line, "sick trickle %u %u", &trickleBytes, &ms) == 2 && trickleBytes <= readBytes &&
             ms > 0) {
    fallIll(trickle, ms);
  } else if (sscanf(line, "sick reset %u", &ms) == 1 && ms > 0) {
    fallIll(reset, ms);
  } else {
    fprintf(stderr, "unknown command: %s\n", line);
    return 2;
  }
  return 0;
}

/** For epoll_wait: until the next turn or the end of a collection, rounded up; -1: for ever. */
static int timeoutMs(void) {
  const uint64_t at = nextTurnNs < awaitUntilNs ? nextTurnNs : awaitUntilNs;
  const uint64_t now = nowNs();
  if (at == never) return -1;
  return at <= now ? 0 : (int)((at - now + 999999) / 1000000);
}

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: %s PORT\n", argv[0]);
    return 2;
  }
  raiseFdLimit();
  port = (uint16_t)strtoul(argv[1], NULL, 10);
  clients = zeroed(clientsMax, sizeof(struct Client));
  samples = zeroed(samplesMax, sizeof(uint32_t));
  buffer = zeroed(1, headerBytes + bodyBytesMax + readBytes);
  // Now, so that no frame pays for the first touch of a page.
  memset(samples, 1, samplesMax * sizeof(uint32_t));
  memset(buffer, 1, readBytes);
  epoll = epoll_create1(EPOLL_CLOEXEC);
  watch(STDIN_FILENO, commandKey);
  struct LineReader input = {.fd = STDIN_FILENO};
  struct epoll_event events[eventsMax];
  for (;;) {
    const int ready = epoll_wait(epoll, events, eventsMax, timeoutMs());
    bool told = false;
    for (int i = 0; i < ready; i++) {
      if (events[i].data.u64 == commandKey)
        told = true;
      else if (clients[events[i].data.u64].fd >= 0)
        receive(&clients[events[i].data.u64]);
    }
    // After the frames: they came before it.
    if (told) {
      char line[lineBytesMax];
      if (!readLine(&input, line)) return 0;
      const int code = command(line);
      if (code != 0) return code;
    }
    if (nowNs() >= nextTurnNs) takeTurn();
    if (awaitUntilNs != never && (frames >= awaited || nowNs() >= awaitUntilNs)) collected();
  }
}
