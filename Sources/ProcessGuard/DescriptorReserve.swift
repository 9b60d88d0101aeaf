import FileDescriptors
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
package enum DescriptorReserve {
    /// The most that the first start takes at the same time: a socket to the guard, pipes, pidfds, `/dev/null`, and what watches
    /// them in this process from then on.
    package static let first = 20
    /// The most that a process keeps while it runs, its log and a socket for what it says included.
    package static let running = 8
    /// How long a start waits for them when the caller says nothing else: others may be under way, and give theirs back.
    static let patience: Duration = .seconds(1)
    /// The most that another one takes that is under way meanwhile.
    private static let others = 12
    /// The time between two looks.
    private static let pause: Duration = .milliseconds(50)
    fileprivate static let starts = Atomic(0)

    /// A start that is under way; the next one leaves it its descriptors.
    final class Start: Sendable {
        private let isUnderWay = Atomic(true)

        fileprivate init() {}

        deinit { end() }

        /// The process has been started, or will not be; further calls do nothing.
        func end() {
            guard isUnderWay.exchange(false, ordering: .relaxed) else { return }
            DescriptorReserve.starts.subtract(1, ordering: .relaxed)
        }
    }

    /// Waits until a start would find its descriptors.
    ///
    /// - Throws: `LaunchError` with the system's error number when it does not within a second.
    package static func wait() async throws(LaunchError) { try await begin().end() }

    /// Begins the start of a process, when there are enough descriptors for it and for those that are under way.
    ///
    /// - Parameter patience: how long to wait for them; a cancelled task does not wait.
    /// - Throws: `LaunchError` with the system's error number when there are too few.
    static func begin(patience: Duration = DescriptorReserve.patience) async throws(LaunchError) -> Start {
        let deadline = ContinuousClock.now + patience
        while true {
            let count = starts.add(1, ordering: .relaxed).newValue
            let start = Start()
            let needed = first + others * (count - 1)
            if FileDescriptors.areFree(needed) { return start }
            start.end()
            guard ContinuousClock.now < deadline, (try? await Task.sleep(for: pause)) != nil else {
                let all = FileDescriptors.limit.map { " of \($0)" } ?? ""
                throw LaunchError("fewer than \(needed)\(all) file descriptors are free", errorNumber: EMFILE)
            }
        }
    }

    /// Runs the start of a process, when there are enough descriptors for it and for those that are under way.
    ///
    /// - Parameter patience: how long to wait for them; a cancelled task does not wait.
    /// - Throws: `LaunchError` with the system's error number when there are too few; what `start` throws.
    static func during<Value>(
        patience: Duration = DescriptorReserve.patience,
        _ start: () async throws(LaunchError) -> Value
    ) async throws(LaunchError) -> Value {
        let underWay = try await begin(patience: patience)
        defer { underWay.end() }
        return try await start()
    }
}
