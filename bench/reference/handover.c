// Accepts connections and becomes another program, which finds them as open descriptors: what Node has no way to, a
// socket that no `net.Socket` was ever made of.
//
//   handover CONNECTIONS PROGRAM ARGUMENT...
//
// Prints its port first. PROGRAM gets two arguments more: the first descriptor, and how many follow each other.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common.h"

/** What may have been inherited lies below; closed, so that descriptors follow each other. */
enum { inheritedEnd = 1024 };

int main(int argc, char** argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: %s CONNECTIONS PROGRAM ARGUMENT...\n", argv[0]);
    return 2;
  }
  raiseFdLimit();
  for (int fd = STDERR_FILENO + 1; fd < inheritedEnd; fd++) close(fd);
  const uint32_t connections = (uint32_t)strtoul(argv[1], NULL, 10);
  int* fds = acceptAnnounced(connections);
  for (uint32_t i = 0; i < connections; i++) {
    if (fds[i] != fds[0] + (int)i) {
      errno = EMFILE;
      fail("descriptors in a row");
    }
    fcntl(fds[i], F_SETFD, 0);
  }
  char first[16];
  snprintf(first, sizeof(first), "%d", fds[0]);
  char** arguments = zeroed((size_t)argc + 1, sizeof(char*));
  const int given = argc - 2;
  for (int i = 0; i < given; i++) arguments[i] = argv[i + 2];
  arguments[given] = first;
  arguments[given + 1] = argv[1];
  execvp(arguments[0], arguments);
  fail("exec");
}
