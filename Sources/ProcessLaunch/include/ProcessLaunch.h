#ifndef PROCESS_LAUNCH_H
#define PROCESS_LAUNCH_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/// The steps between fork and exec that may fail.
enum process_launch_step {
    process_launch_fork = 1,
    process_launch_group,
    process_launch_descriptors,
    process_launch_umask,
    process_launch_nice,
    process_launch_cpus,
    process_launch_limit,
    process_launch_user,
    process_launch_directory,
    process_launch_exec,
};

/// A resource limit; `resource` is one of `RLIMIT_…`.
struct process_launch_limit {
    int resource;
    uint64_t value;
    /// Whether there is no limit; `value` does not count then.
    int is_unlimited;
};

/// What a process is started with.
struct process_launch {
    const char *path;
    char *const *arguments;
    char *const *environment;
    /// The working directory; NULL for that of this process.
    const char *directory;
    int standard_output;
    int standard_error;
    /// The process group that it joins.
    pid_t group;

    int sets_umask;
    mode_t umask;
    int sets_nice;
    int nice;
    /// The numbers of the processors that it may run on.
    const int *cpus;
    size_t cpu_count;
    const struct process_launch_limit *limits;
    size_t limit_count;
    /// A soft limit of file locks, by which the process and its descendants are known; 0 for none. Only Linux has it.
    uint64_t mark;
    int sets_user;
    uid_t user;
    gid_t group_id;
    const gid_t *groups;
    size_t group_count;
};

/// Where a launch failed.
struct process_launch_failure {
    /// An `errno`.
    int error;
    enum process_launch_step step;
    /// Which limit, for `process_launch_limit`.
    int index;
};

/// Starts a process; returns when the system has started the program. The caller has to wait for the process.
///
/// Between fork and exec it calls async-signal-safe functions alone: other threads of this process may hold any lock.
///
/// - Returns: the process id; -1 after a failure, when no process is left.
pid_t process_launch(const struct process_launch *launch, struct process_launch_failure *failure);

/// A descriptor that becomes readable when the process ends; -1 where the system has none.
int process_launch_end_descriptor(pid_t pid);

/// The number of a resource limit by its name in lower case (`nofile`); -1 when this system has none of that name.
int process_launch_resource(const char *name);

#endif
