#if defined(__linux__)
#define _GNU_SOURCE
#include <sched.h>
#include <sys/syscall.h>
#endif

#include "ProcessLaunch.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__linux__)
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#endif

/// How many descriptors are looked at where the system cannot mark all of them at once.
#define MAXIMUM_DESCRIPTOR 65536

// MARK: In the child, between fork and exec: async-signal-safe calls only.

static void fail(int report, enum process_launch_step step, int index) {
    struct process_launch_failure failure = {.error = errno, .step = step, .index = index};
    ssize_t written;
    do {
        written = write(report, &failure, sizeof failure);
    } while (written < 0 && errno == EINTR);
    _exit(127);
}

/// Every descriptor but the first three is closed at exec.
static void mark_descriptors(void) {
#if defined(__linux__)
    const unsigned int close_on_exec = 1U << 2;
    if (syscall(SYS_close_range, 3U, ~0U, close_on_exec) == 0) { return; }
#endif
    struct rlimit limit;
    int last = MAXIMUM_DESCRIPTOR;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < MAXIMUM_DESCRIPTOR) { last = (int)limit.rlim_cur; }
    for (int descriptor = 3; descriptor < last; descriptor++) {
        int flags = fcntl(descriptor, F_GETFD);
        if (flags >= 0) { fcntl(descriptor, F_SETFD, flags | FD_CLOEXEC); }
    }
}

/// Signals do what they do by default: exec would keep those that are ignored.
static void reset_signals(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    sigemptyset(&action.sa_mask);
    for (int number = 1; number < NSIG; number++) {
        if (number != SIGKILL && number != SIGSTOP) { sigaction(number, &action, NULL); }
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/// Puts a descriptor out of the way of the first three; it is closed at exec.
static int moved(int descriptor) { return descriptor > 2 ? descriptor : fcntl(descriptor, F_DUPFD_CLOEXEC, 3); }

static void set_descriptors(const struct process_launch *launch, int report) {
    int output = moved(launch->standard_output);
    int error = moved(launch->standard_error);
    int input = open("/dev/null", O_RDONLY);
    if (output < 0 || error < 0 || input < 0) { fail(report, process_launch_descriptors, 0); }
    if (input != 0) {
        if (dup2(input, 0) < 0) { fail(report, process_launch_descriptors, 0); }
        if (input > 2) { close(input); }
    }
    if (dup2(output, 1) < 0 || dup2(error, 2) < 0) { fail(report, process_launch_descriptors, 0); }
    mark_descriptors();
}

static int set_cpus(const struct process_launch *launch) {
#if defined(__linux__)
    cpu_set_t set;
    CPU_ZERO(&set);
    for (size_t index = 0; index < launch->cpu_count; index++) {
        int cpu = launch->cpus[index];
        if (cpu >= 0 && cpu < CPU_SETSIZE) { CPU_SET(cpu, &set); }
    }
    return sched_setaffinity(0, sizeof set, &set);
#else
    (void)launch;
    errno = ENOTSUP;
    return -1;
#endif
}

static int set_limit(const struct process_launch_limit *limit) {
    rlim_t value = limit->is_unlimited ? RLIM_INFINITY : (rlim_t)limit->value;
    struct rlimit both = {.rlim_cur = value, .rlim_max = value};
#if defined(__GLIBC__)
    return setrlimit((__rlimit_resource_t)limit->resource, &both);
#else
    return setrlimit(limit->resource, &both);
#endif
}

/// Nothing depends on it: a process without it is known by its environment.
static void set_mark(uint64_t mark) {
#if defined(__linux__)
    struct rlimit both;
    if (mark == 0 || getrlimit(RLIMIT_LOCKS, &both) != 0 || both.rlim_max < mark) { return; }
    both.rlim_cur = (rlim_t)mark;
    setrlimit(RLIMIT_LOCKS, &both);
#else
    (void)mark;
#endif
}

/// The groups first: without root they can no longer be changed. The group before the user, for the same reason.
static int set_user(const struct process_launch *launch) {
    if (setgroups(launch->group_count, launch->groups) != 0) { return -1; }
    if (setgid(launch->group_id) != 0) { return -1; }
    if (setuid(launch->user) != 0) { return -1; }
    if (launch->user != 0 && setuid(0) == 0) {
        errno = EPERM;
        return -1;
    }
    return 0;
}

static void become(const struct process_launch *launch, int report) {
    // Its own group first: a signal to that of this process must not reach it.
    if (setpgid(0, launch->group) != 0) { fail(report, process_launch_group, 0); }
    set_descriptors(launch, report);
    if (launch->sets_umask) { umask(launch->umask); }
    if (launch->sets_nice && setpriority(PRIO_PROCESS, 0, launch->nice) != 0) { fail(report, process_launch_nice, 0); }
    if (launch->cpu_count > 0 && set_cpus(launch) != 0) { fail(report, process_launch_cpus, 0); }
    for (size_t index = 0; index < launch->limit_count; index++) {
        if (set_limit(&launch->limits[index]) != 0) { fail(report, process_launch_limit, (int)index); }
    }
    set_mark(launch->mark);
    if (launch->sets_user && set_user(launch) != 0) { fail(report, process_launch_user, 0); }
    // As the user that the program runs as, who may not be allowed to enter it.
    if (launch->directory != NULL && chdir(launch->directory) != 0) { fail(report, process_launch_directory, 0); }
    reset_signals();
    execve(launch->path, launch->arguments, launch->environment);
    fail(report, process_launch_exec, 0);
}

// MARK: In this process

static int make_report(int ends[2]) {
#if defined(__linux__)
    return pipe2(ends, O_CLOEXEC);
#else
    if (pipe(ends) != 0) { return -1; }
    fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    return 0;
#endif
}

pid_t process_launch(const struct process_launch *launch, struct process_launch_failure *failure) {
    int report[2];
    failure->step = process_launch_fork;
    failure->index = 0;
    if (make_report(report) != 0) {
        failure->error = errno;
        return -1;
    }
    // So that no handler of this process runs in the child.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    if (pid == 0) {
        int end = moved(report[1]);
        if (end < 0) { _exit(127); }
        become(launch, end);
    }
    int problem = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(report[1]);
    if (pid < 0) {
        close(report[0]);
        failure->error = problem;
        return -1;
    }
    struct process_launch_failure reported;
    ssize_t count;
    do {
        count = read(report[0], &reported, sizeof reported);
    } while (count < 0 && errno == EINTR);
    close(report[0]);
    if (count == 0) { return pid; }
    int status;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    if (count == (ssize_t)sizeof reported) {
        *failure = reported;
    } else {
        failure->error = EIO;
    }
    return -1;
}

int process_launch_end_descriptor(pid_t pid) {
#if defined(__linux__)
    return (int)syscall(SYS_pidfd_open, pid, 0U);
#else
    (void)pid;
    return -1;
#endif
}

int process_launch_resource(const char *name) {
    static const struct {
        const char *name;
        int resource;
    } resources[] = {
        {"nofile", RLIMIT_NOFILE}, {"core", RLIMIT_CORE},   {"as", RLIMIT_AS},           {"data", RLIMIT_DATA},
        {"stack", RLIMIT_STACK},   {"nproc", RLIMIT_NPROC}, {"memlock", RLIMIT_MEMLOCK}, {"fsize", RLIMIT_FSIZE},
        {"cpu", RLIMIT_CPU},
    };
    for (size_t index = 0; index < sizeof resources / sizeof resources[0]; index++) {
        if (strcmp(resources[index].name, name) == 0) { return resources[index].resource; }
    }
    return -1;
}
