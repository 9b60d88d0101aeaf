#define _GNU_SOURCE
#include "SteppedClock.h"

static long offset;

void steppedClockSet(long seconds) { __atomic_store_n(&offset, seconds, __ATOMIC_SEQ_CST); }

#ifdef __linux__
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = (int)syscall(SYS_clock_gettime, clock, time);
    if (result == 0 && clock == CLOCK_REALTIME) time->tv_sec += __atomic_load_n(&offset, __ATOMIC_SEQ_CST);
    return result;
}
#endif
