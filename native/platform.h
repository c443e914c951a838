#pragma once

/**
 * 1 where epoll, eventfd and the rest of Linux may be used. ACKGATE_PORTABLE=1 takes them away from a build
 * on Linux, so that what other systems get can be tested there.
 */
#if defined(__linux__) && !ACKGATE_PORTABLE
#define ACKGATE_LINUX 1
#else
#define ACKGATE_LINUX 0
#endif
