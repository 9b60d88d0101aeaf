#include "SanitizedMutex.h"

#if defined(__linux__) && defined(__has_feature)
#if __has_feature(thread_sanitizer)

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

void __tsan_acquire(void *address);
void __tsan_release(void *address);

// The mutex is the method's self.
typedef __attribute__((swiftcall)) void (*LockSlow)(uint32_t, __attribute__((swift_context)) void *);
typedef __attribute__((swiftcall)) void (*UnlockSlow)(__attribute__((swift_context)) void *);

#define LOCK_SLOW "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK_SLOW "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"
// RTLD_NEXT, which wants _GNU_SOURCE.
#define NEXT ((void *)-1l)

static void *original(void **known, const char *name) {
    void *function = __atomic_load_n(known, __ATOMIC_RELAXED);
    if (function) return function;
    function = dlsym(NEXT, name);
    if (!function) {
        fprintf(stderr, "SanitizedMutex: libswiftSynchronization has no %s any more\n", name);
        abort();
    }
    __atomic_store_n(known, function, __ATOMIC_RELAXED);
    return function;
}

__attribute__((swiftcall)) void sanitizedLockSlow(uint32_t thread, __attribute__((swift_context)) void *mutex)
    __asm__(LOCK_SLOW);
__attribute__((swiftcall)) void sanitizedLockSlow(uint32_t thread, __attribute__((swift_context)) void *mutex) {
    static void *known;
    ((LockSlow)original(&known, LOCK_SLOW))(thread, mutex);
    __tsan_acquire(mutex);
}

__attribute__((swiftcall)) void sanitizedUnlockSlow(__attribute__((swift_context)) void *mutex)
    __asm__(UNLOCK_SLOW);
__attribute__((swiftcall)) void sanitizedUnlockSlow(__attribute__((swift_context)) void *mutex) {
    static void *known;
    __tsan_release(mutex);
    ((UnlockSlow)original(&known, UNLOCK_SLOW))(mutex);
}

#endif
#endif
