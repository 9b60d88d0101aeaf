import Foundation

/// Checks whether this process is the first one of a container.
enum ProcessOne {
    /// Warns when this process is process 1, in the place of an init. A process whose parent has ended becomes a child
    /// of process 1, and stays a zombie until process 1 waits for it.
    static func warn() {
        guard getpid() == 1 else { return }
        Diagnostics.say(
            "mesh-events is process 1, and does not wait for the processes that its children leave behind: start it under an "
                + "init (docker run --init, or tini)"
        )
    }
}
