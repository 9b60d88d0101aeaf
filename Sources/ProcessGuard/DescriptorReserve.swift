import Synchronization

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// The file descriptors that the start of a process takes for a moment.
///
/// It is looked whether they are free before anything is begun. A start that runs out of them halfway does worse than fail:
/// swift-subprocess waits without end for a process whose pidfd could not be opened, and ends this process when one of its pipes
/// could not be made.
enum DescriptorReserve {
    /// The most that the first start takes at the same time: a socket to the guard, pipes, pidfds, `/dev/null`, and what watches
    /// them in this process from then on.
    private static let first = 20
    /// The most that another one takes that is under way meanwhile.
    private static let others = 12
    private static let starts = Atomic(0)

    /// Runs the start of a process, unless there are too few descriptors for it and for those that are under way.
    ///
    /// - Throws: `LaunchError` with the system's error number when there are; what `start` throws.
    static func during<Value>(
        _ start: () async throws(LaunchError) -> Value
    ) async throws(LaunchError) -> Value {
        let count = starts.add(1, ordering: .relaxed).newValue
        defer { starts.subtract(1, ordering: .relaxed) }
        try check(first + others * (count - 1))
        return try await start()
    }

    /// Throws when fewer than so many descriptors are free.
    ///
    /// It takes none of them to see that: what else this process does at the moment may need the last ones.
    private static func check(_ needed: Int) throws(LaunchError) {
        let limit = sysconf(Int32(_SC_OPEN_MAX))
        var (number, free) = (Int32(0), 0)
        while free < needed {
            guard limit < 0 || Int(number) < limit else {
                throw LaunchError("fewer than \(needed) file descriptors are free", errorNumber: EMFILE)
            }
            if fcntl(number, F_GETFD) < 0 { free += 1 }
            number += 1
        }
    }
}
