// How far two cores are from each other: the time that a line of the cache takes from one to the other and
// back. On a virtual machine it changes when the host moves one of them, and everything that goes from thread
// to thread with it.
//
//   cores FIRST SECOND
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "common.h"

enum { turns = 100000 };

static _Alignas(128) atomic_int baton;
static uint64_t spans[turns];

static void stayOn(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET((size_t)core, &set);
  if (sched_setaffinity(0, sizeof(set), &set) < 0) fail("sched_setaffinity");
}

static void await(int value) {
  while (atomic_load_explicit(&baton, memory_order_acquire) != value) {
  }
}

static void* giveBack(void* core) {
  stayOn(*(int*)core);
  for (int i = 0; i < turns; i++) {
    await(1);
    atomic_store_explicit(&baton, 0, memory_order_release);
  }
  return NULL;
}

static int ascending(const void* one, const void* other) {
  const uint64_t a = *(const uint64_t*)one;
  const uint64_t b = *(const uint64_t*)other;
  return (a > b) - (a < b);
}

int main(int argc, char** argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: %s FIRST SECOND\n", argv[0]);
    return 2;
  }
  int second = atoi(argv[2]);
  stayOn(atoi(argv[1]));
  pthread_t thread;
  if (pthread_create(&thread, NULL, giveBack, &second) != 0) fail("pthread_create");
  for (int i = 0; i < turns; i++) {
    const uint64_t startNs = nowNs();
    atomic_store_explicit(&baton, 1, memory_order_release);
    await(0);
    spans[i] = nowNs() - startNs;
  }
  pthread_join(thread, NULL);
  qsort(spans, turns, sizeof(spans[0]), ascending);
  printf("{\"thereAndBackNs\":%u}\n", (unsigned)spans[turns / 2]);
  return 0;
}
