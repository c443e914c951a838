// What response stages classically do: a hash map from connection id to connection, a buffer of its own for each,
// submit and wait for all, and a blocking retry for whoever took only a part.
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common.h"
#include "server.h"

enum { ringEntries = 4096 };

struct Connection {
  uint64_t id;
  int fd;
  uint32_t used;
  uint8_t* buffer;
  struct Connection* next;
};

static struct io_uring ring;
static struct Connection** buckets;
static uint32_t bucketMask;
static struct Connection** dirty;
static uint32_t dirtyCount;

static uint32_t bucketOf(uint64_t id) { return (uint32_t)((id * 0x9e3779b97f4a7c15u) >> 32) & bucketMask; }

static void open_(uint32_t connections, const int* fds, uint64_t firstId) {
  errno = -io_uring_queue_init(ringEntries, &ring, 0);
  if (errno != 0) fail("io_uring_queue_init");
  uint32_t size = 1;
  while (size < connections) size *= 2;
  bucketMask = size - 1;
  buckets = zeroed(size, sizeof(struct Connection*));
  dirty = zeroed(connections, sizeof(struct Connection*));
  for (uint32_t i = 0; i < connections; i++) {
    struct Connection* connection = zeroed(1, sizeof(struct Connection));
    connection->id = firstId + i;
    connection->fd = fds[i];
    connection->buffer = zeroed(1, sendBufferBytes);
    struct Connection** bucket = &buckets[bucketOf(connection->id)];
    connection->next = *bucket;
    *bucket = connection;
  }
}

static void append(uint64_t id, const uint8_t* frame, size_t length) {
  struct Connection* connection = buckets[bucketOf(id)];
  while (connection->id != id) connection = connection->next;
  if (connection->used == 0) dirty[dirtyCount++] = connection;
  memcpy(connection->buffer + connection->used, frame, length);
  connection->used += (uint32_t)length;
}

static void sendRest(const struct Connection* connection, uint32_t done) {
  while (done < connection->used) {
    const ssize_t count = send(connection->fd, connection->buffer + done, connection->used - done, MSG_NOSIGNAL);
    if (count < 0 && errno != EINTR) return;  // the peer is gone
    done += count > 0 ? (uint32_t)count : 0;
  }
}

static void flush(void) {
  while (dirtyCount > 0) {
    uint32_t queued = 0;
    for (; dirtyCount > 0 && queued < ringEntries; queued++) {
      struct Connection* connection = dirty[--dirtyCount];
      struct io_uring_sqe* sqe = io_uring_get_sqe(&ring);
      io_uring_prep_send(sqe, connection->fd, connection->buffer, connection->used, MSG_NOSIGNAL);
      io_uring_sqe_set_data(sqe, connection);
    }
    int result = 0;
    while ((result = io_uring_submit_and_wait(&ring, queued)) == -EINTR) {
    }
    if (result < 0) {
      errno = -result;
      fail("submit");
    }
    for (uint32_t i = 0; i < queued; i++) {
      struct io_uring_cqe* cqe = NULL;
      while ((result = io_uring_wait_cqe(&ring, &cqe)) == -EINTR) {
      }
      if (result < 0) {
        errno = -result;
        fail("wait");
      }
      struct Connection* connection = io_uring_cqe_get_data(cqe);
      if (cqe->res > 0 && (uint32_t)cqe->res < connection->used) sendRest(connection, (uint32_t)cqe->res);
      connection->used = 0;
      io_uring_cqe_seen(&ring, cqe);
    }
  }
}

int main(int argc, char** argv) {
  static const struct Egress egress = {open_, append, flush};
  return serve(argc, argv, &egress);
}
