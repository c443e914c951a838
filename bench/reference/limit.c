// The least that sending can cost with io_uring: a memcpy into the connection's buffer, one SEND per connection with
// bytes, one call into the kernel per round; ring and files registered, the flags that are cheapest.
//
// To compare set-ups: LIMIT_SETUP in the environment may name some of `coop` (COOP_TASKRUN), `plain` (no flags), `sqpoll`
// (a kernel thread submits), `files` and `ring` (not registered).
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common.h"
#include "server.h"

enum { ringEntries = 4096 };

static struct io_uring ring;
static uint8_t* buffers;
static uint32_t* used;
static uint32_t* sent;
static uint32_t* dirty;
static uint32_t dirtyCount;
static uint64_t first;

static const int* descriptors;

static int asked(const char* word) {
  const char* setup = getenv("LIMIT_SETUP");
  return setup != NULL && strstr(setup, word) != NULL;
}

static unsigned setupFlags(void) {
  if (asked("sqpoll")) return IORING_SETUP_SQPOLL | IORING_SETUP_SUBMIT_ALL;
  if (asked("plain")) return 0;
  if (asked("coop")) return IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SUBMIT_ALL;
  return IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL;
}

static void open_(uint32_t connections, const int* fds, uint64_t firstId) {
  struct io_uring_params params = {.flags = setupFlags() | IORING_SETUP_CQSIZE,
                                   .cq_entries = ringEntries * 4,
                                   .sq_thread_idle = 1};
  errno = -io_uring_queue_init_params(ringEntries, &ring, &params);
  if (errno != 0) fail("io_uring_queue_init_params");
  if (!asked("ring") && io_uring_register_ring_fd(&ring) != 1) fail("io_uring_register_ring_fd");
  errno = asked("files") ? 0 : -io_uring_register_files(&ring, fds, connections);
  descriptors = asked("files") ? fds : NULL;
  if (errno != 0) fail("io_uring_register_files");
  if (posix_memalign((void**)&buffers, 4096, (size_t)connections * sendBufferBytes) != 0) fail("memory");
  used = zeroed(connections, sizeof(uint32_t));
  sent = zeroed(connections, sizeof(uint32_t));
  dirty = zeroed(connections, sizeof(uint32_t));
  first = firstId;
}

static void append(uint64_t id, const uint8_t* frame, size_t length) {
  const uint32_t at = (uint32_t)(id - first);
  if (used[at] == 0) dirty[dirtyCount++] = at;
  memcpy(buffers + (size_t)at * sendBufferBytes + used[at], frame, length);
  used[at] += (uint32_t)length;
}

/** Takes the results that are there. A peer that took a part gets the rest with the next call. */
static uint32_t reap(void) {
  struct io_uring_cqe* cqe;
  unsigned head;
  uint32_t count = 0;
  io_uring_for_each_cqe(&ring, head, cqe) {
    const uint32_t at = (uint32_t)cqe->user_data;
    if (cqe->res <= 0) {
      errno = -cqe->res;
      fail("send");
    }
    sent[at] += (uint32_t)cqe->res;
    if (sent[at] < used[at]) {
      dirty[dirtyCount++] = at;
    } else {
      sent[at] = 0;
      used[at] = 0;
    }
    count++;
  }
  io_uring_cq_advance(&ring, count);
  return count;
}

static void flush(void) {
  uint32_t underWay = 0;
  while (dirtyCount > 0 || underWay > 0) {
    uint32_t queued = 0;
    for (; dirtyCount > 0 && queued < ringEntries; queued++) {
      const uint32_t at = dirty[--dirtyCount];
      struct io_uring_sqe* sqe = io_uring_get_sqe(&ring);
      io_uring_prep_send(sqe, descriptors == NULL ? (int)at : descriptors[at],
                         buffers + (size_t)at * sendBufferBytes + sent[at], used[at] - sent[at], MSG_NOSIGNAL);
      if (descriptors == NULL) sqe->flags |= IOSQE_FIXED_FILE;
      sqe->user_data = at;
    }
    underWay += queued;
    // Healthy peers are all answered within the call; only what is missing then has to be waited for.
    const int result = queued > 0 ? io_uring_submit(&ring) : io_uring_submit_and_wait(&ring, 1);
    if (result < 0 && result != -EINTR) {
      errno = -result;
      fail("submit");
    }
    underWay -= reap();
  }
}

int main(int argc, char** argv) {
  static const struct Egress egress = {open_, append, flush};
  return serve(argc, argv, &egress);
}
