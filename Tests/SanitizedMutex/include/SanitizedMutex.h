#ifndef SANITIZED_MUTEX_H
#define SANITIZED_MUTEX_H

/// Nothing to call: linking this target is enough.
///
/// On Linux, Synchronization's Mutex changes hands inside libswiftSynchronization and the kernel when it is contended,
/// where the thread sanitizer does not look: it then reports races that are none. Under the sanitizer this target puts
/// itself before the two functions that do it, and says what they did.

#endif
