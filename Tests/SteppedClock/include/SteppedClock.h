#ifndef STEPPED_CLOCK_H
#define STEPPED_CLOCK_H

/// Steps this process's wall clock: from now on it is so many seconds ahead of the system's, or behind it.
///
/// An executable that links this has its own `clock_gettime`, before the C library's. The monotonic clocks stay what they
/// are, as they do when an administrator, or NTP, sets the time of a machine.
void steppedClockSet(long seconds);

#endif
