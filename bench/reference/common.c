#include "common.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

void fail(const char* what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(1);
}

static uint64_t readClock(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

uint64_t nowNs(void) { return readClock(CLOCK_MONOTONIC); }

uint64_t threadCpuNs(void) { return readClock(CLOCK_THREAD_CPUTIME_ID); }

void raiseFdLimit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
}

static int listenLoopback(uint16_t* port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t length = sizeof(address);
  if (fd < 0 || bind(fd, (struct sockaddr*)&address, length) < 0 || listen(fd, 4096) < 0 ||
      getsockname(fd, (struct sockaddr*)&address, &length) < 0) {
    fail("listen");
  }
  *port = ntohs(address.sin_port);
  return fd;
}

static void acceptAll(int listener, uint32_t count, int* fds) {
  const int on = 1;
  for (uint32_t i = 0; i < count; i++) {
    fds[i] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fds[i] < 0 || setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0) {
      fail("accept");
    }
  }
}

int* acceptAnnounced(uint32_t count) {
  int* fds = zeroed(count, sizeof(int));
  uint16_t port = 0;
  const int listener = listenLoopback(&port);
  printf("{\"port\":%u}\n", port);
  fflush(stdout);
  acceptAll(listener, count, fds);
  return fds;
}

int connectLoopbackWith(uint16_t port, int receiveBytes, int segmentBytes) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  const struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  if (fd < 0 ||
      (receiveBytes > 0 && setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receiveBytes, sizeof(receiveBytes)) < 0) ||
      (segmentBytes > 0 && setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &segmentBytes, sizeof(segmentBytes)) < 0) ||
      connect(fd, (const struct sockaddr*)&address, sizeof(address)) < 0 ||
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 ||
      fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
    fail("connect");
  }
  return fd;
}

int connectLoopback(uint16_t port) { return connectLoopbackWith(port, 0, 0); }

void* zeroed(size_t count, size_t size) {
  void* memory = calloc(count, size);
  if (memory == NULL) {
    fail("memory");
  }
  return memory;
}

bool readLine(struct LineReader* reader, char* line) {
  for (;;) {
    char* end = memchr(reader->bytes, '\n', reader->used);
    if (end != NULL) {
      const size_t length = (size_t)(end - reader->bytes);
      memcpy(line, reader->bytes, length);
      line[length] = '\0';
      reader->used -= length + 1;
      memmove(reader->bytes, end + 1, reader->used);
      return true;
    }
    if (reader->used == lineBytesMax) {
      errno = EMSGSIZE;
      fail("command");
    }
    const ssize_t count = read(reader->fd, reader->bytes + reader->used, lineBytesMax - reader->used);
    if (count == 0 || (count < 0 && errno != EINTR)) {
      return false;
    }
    reader->used += count > 0 ? (size_t)count : 0;
  }
}
