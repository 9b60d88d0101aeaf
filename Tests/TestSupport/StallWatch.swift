import MeshConcurrency

/// Measures how long this process stood still at most: how much later than asked a short sleep ended.
///
/// A promise about an interval holds only while the process runs at all. A test of one whose interval was too short for a
/// busy machine takes a longer one.
public final class StallWatch: Sendable {
    private static let step: Duration = .milliseconds(20)

    private let longest = Locked(Duration.zero)
    private let task = Locked<Task<Void, Never>?>(nil)

    /// Begins to measure.
    public init() {
        let longest = longest
        task.withLock {
            $0 = Task {
                while !Task.isCancelled {
                    let begun = ContinuousClock.now
                    try? await Task.sleep(for: Self.step)
                    let late = ContinuousClock.now - begun - Self.step
                    longest.withLock { $0 = max($0, late) }
                }
            }
        }
    }

    deinit { task.withLock { $0?.cancel() } }

    /// The longest stall so far.
    public var longestStall: Duration { longest.withLock { $0 } }
}
