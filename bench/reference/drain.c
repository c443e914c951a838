// The clients: connects, reads everything and keeps nothing. It sleeps in the kernel while nothing comes, as clients do.
//
//   drain PORT CONNECTIONS [PAUSE]
//
// With PAUSE it looks once in so many microseconds instead, and never has to be woken: through loopback that is work of
// the sender's thread, which clients on other machines are not.
//
// With BENCH_READ_FILE in the environment it keeps how much it has read there, as a 64-bit number: how far the sender may get
// ahead is then seen at once.
//
// Commands, one a line, each answered with one line of JSON:
//
//   await BYTES   answers once BYTES have been read in all
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common.h"

enum { readBytes = 1 << 20, eventsMax = 512 };
static const uint64_t commandKey = UINT64_MAX;

static uint64_t total;
static uint64_t awaited = UINT64_MAX;

static void watch(int epoll, int fd, uint64_t key) {
  struct epoll_event event = {.events = EPOLLIN, .data = {.u64 = key}};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
    fail("epoll_ctl");
  }
}

static uint64_t* sharedTotal(void) {
  const char* path = getenv("BENCH_READ_FILE");
  if (path == NULL) return NULL;
  const int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0 || ftruncate(fd, sizeof(uint64_t)) < 0) fail(path);
  void* memory = mmap(NULL, sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) fail(path);
  close(fd);
  return memory;
}

static void answer(void) {
  printf("{\"bytes\":%" PRIu64 "}\n", total);
  fflush(stdout);
  awaited = UINT64_MAX;
}

int main(int argc, char** argv) {
  if (argc != 3 && argc != 4) {
    fprintf(stderr, "usage: %s PORT CONNECTIONS [PAUSE]\n", argv[0]);
    return 2;
  }
  const struct timespec between = {.tv_nsec = argc == 4 ? strtol(argv[3], NULL, 10) * 1000 : 0};
  raiseFdLimit();
  const uint16_t port = (uint16_t)strtoul(argv[1], NULL, 10);
  const uint32_t connections = (uint32_t)strtoul(argv[2], NULL, 10);
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  int* fds = zeroed(connections, sizeof(int));
  for (uint32_t i = 0; i < connections; i++) {
    fds[i] = connectLoopback(port);
    watch(epoll, fds[i], i);
  }
  watch(epoll, STDIN_FILENO, commandKey);
  struct LineReader input = {.fd = STDIN_FILENO};
  struct epoll_event events[eventsMax];
  uint64_t* const shown = sharedTotal();
  for (;;) {
    const int count = epoll_wait(epoll, events, eventsMax, between.tv_nsec > 0 ? 0 : -1);
    for (int i = 0; i < count; i++) {
      if (events[i].data.u64 == commandKey) {
        char line[lineBytesMax];
        if (!readLine(&input, line)) return 0;
        if (sscanf(line, "await %" SCNu64, &awaited) != 1) {
          fprintf(stderr, "unknown command: %s\n", line);
          return 2;
        }
        continue;
      }
      // MSG_TRUNC: the kernel throws the bytes away without copying them.
      const ssize_t bytes = recv(fds[events[i].data.u64], NULL, readBytes, MSG_TRUNC);
      if (bytes > 0) {
        total += (uint64_t)bytes;
      } else if (bytes == 0 || errno != EAGAIN) {
        close(fds[events[i].data.u64]);
      }
    }
    if (shown != NULL) __atomic_store_n(shown, total, __ATOMIC_RELEASE);
    if (total >= awaited) answer();
    if (between.tv_nsec > 0 && count < eventsMax) nanosleep(&between, NULL);
  }
}
