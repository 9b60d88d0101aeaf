import Foundation

/// What is different as the first process of a container.
enum ProcessOne {
    /// Says that there is no init, when this process is in its place: a process whose parent has gone becomes a child
    /// of process 1, and stays in the table of processes, dead, until that waits for it.
    static func warn() {
        guard getpid() == 1 else { return }
        Diagnostics.say(
            "mesh-events is process 1, and does not wait for the processes that its children leave behind: start it under an "
                + "init (docker run --init, or tini)"
        )
    }
}
