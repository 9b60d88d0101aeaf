import FileDescriptors
import Foundation
import NIOCore
import ProcessGuard

/// The descriptors of standard input, output and error.
enum StandardDescriptors {
    /// Opens those that are closed, so that no socket or file takes their numbers and receives what is printed. Reading and
    /// writing them fails, as with a closed one.
    ///
    /// To be called before anything else is opened.
    static func occupyClosed() {
        for descriptor in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] where fcntl(descriptor, F_GETFD) == -1 {
            // The lowest free number is this one.
            _ = open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY)
        }
    }
}

/// How many files this process may have open.
enum DescriptorLimit {
    /// What it is raised to, as in the systemd unit. Some programs close every number below their limit.
    private static let wanted: UInt64 = 65_536
    /// Below this limit, connections share two threads: each thread takes three descriptors.
    private static let few = 1_024

    /// What every command needs: the standard three, a connection, the threads that wait for it, and some files.
    static let command = 24
    /// What a node without tools needs: the same, its server, its log, and the start of a process.
    static let node = 44
    /// What a page, or an address of its own for metrics, needs.
    static var page: Int { 3 * NIOSingletons.groupLoopCountSuggestion + 6 }

    /// Raises it as far as the system allows. A shell's usual 1 024 is too little for a node with more than 140 tools, which
    /// has some seven descriptors for each.
    ///
    /// The tools get the raised limit, too; `limits: {nofile: 1024}` in the manifest gives one another.
    ///
    /// To be called before anything has a connection.
    static func raise() {
        FileDescriptors.raiseLimit(to: wanted)
        guard let limit = FileDescriptors.limit, limit < few else { return }
        // Not compared with what it is: reading it settles it.
        NIOSingletons.groupLoopCountSuggestion = min(System.coreCount, 2)
    }

    /// Refuses to begin what would run out of descriptors at once, and may then end in a trap of a library.
    ///
    /// - Throws: `CommandFailure`, usage, when this process may have fewer than needed.
    static func require(_ needed: Int, for what: String) throws {
        guard let limit = FileDescriptors.limit, limit < needed else { return }
        throw CommandFailure(
            .usage,
            "\(what) needs \(needed) file descriptors, and may have \(limit) only: \(advice)",
            isInHelp: false
        )
    }

    /// Says when a node's tools will not all find theirs.
    ///
    /// - Parameters:
    ///   - needed: how many the node itself needs.
    ///   - tools: the number of its tools.
    static func warn(_ needed: Int, tools: Int) {
        let all = needed + tools * DescriptorReserve.running
        guard let limit = FileDescriptors.limit, limit < all else { return }
        Diagnostics.say(
            "warning: this node may have \(limit) file descriptors; with \(tools) \(tools == 1 ? "tool" : "tools") it may "
                + "need \(all), and tools may have to wait for their start: \(advice)"
        )
    }

    private static let advice = "raise the limit (LimitNOFILE= of a systemd unit, ulimit -Hn)"
}
