import MeshConcurrency
public import MeshEvents

/// A clock that only ``advance(by:)`` moves: sleeping on it ends when the clock has passed the deadline.
public final class ManualClock: Clock, Sendable {
    /// A point on the clock: the time since its start.
    public struct Instant: InstantProtocol, Hashable, Sendable {
        /// The time since the clock's start.
        public var offset: Swift.Duration

        /// Creates an instant.
        public init(offset: Swift.Duration) {
            self.offset = offset
        }

        /// This instant, moved by a duration.
        public func advanced(by duration: Swift.Duration) -> Instant {
            Instant(offset: offset + duration)
        }

        /// The time from here to another instant.
        public func duration(to other: Instant) -> Swift.Duration {
            other.offset - offset
        }

        /// Whether one instant is before another.
        public static func < (left: Instant, right: Instant) -> Bool {
            left.offset < right.offset
        }
    }

    private struct Sleeper {
        let deadline: Instant
        let continuation: CheckedContinuation<Bool, Never>
    }

    private struct State {
        var now = Instant(offset: .zero)
        var lastID: UInt64 = 0
        var sleepers: [UInt64: Sleeper] = [:]
    }

    private let state = Locked(State())
    private let start: Timestamp

    /// Creates a clock that shows `start`; the default is the start of 2026.
    public init(start: Timestamp = Timestamp(nanosecondsSinceEpoch: 1_767_225_600_000_000_000)) {
        self.start = start
    }

    /// The current instant.
    public var now: Instant { state.withLock { $0.now } }
    /// The smallest step: a nanosecond.
    public var minimumResolution: Swift.Duration { .nanoseconds(1) }
    /// The current time of day.
    public var timestamp: Timestamp { start.adding(now.offset) }
    /// How many tasks sleep on the clock; a test waits for them before it advances the clock.
    public var sleepers: Int { state.withLock { $0.sleepers.count } }

    /// Moves the clock and wakes the tasks whose deadline has come.
    public func advance(by duration: Swift.Duration) {
        let due = state.withLock { state -> [Sleeper] in
            state.now = state.now.advanced(by: duration)
            let now = state.now
            let due = state.sleepers.filter { $0.value.deadline <= now }
            for id in due.keys { state.sleepers[id] = nil }
            return due.values.sorted { $0.deadline < $1.deadline }
        }
        for sleeper in due { sleeper.continuation.resume(returning: true) }
    }

    /// Suspends until the clock has reached `deadline`.
    ///
    /// - Throws: `CancellationError` when the task is cancelled.
    public func sleep(until deadline: Instant, tolerance: Swift.Duration? = nil) async throws {
        let id = state.withLock { state in
            state.lastID += 1
            return state.lastID
        }
        let isDue = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let immediate = state.withLock { state -> Bool? in
                    if Task.isCancelled { return false }
                    if deadline <= state.now { return true }
                    state.sleepers[id] = Sleeper(deadline: deadline, continuation: continuation)
                    return nil
                }
                if let immediate { continuation.resume(returning: immediate) }
            }
        } onCancel: {
            let sleeper = state.withLock { $0.sleepers.removeValue(forKey: id) }
            sleeper?.continuation.resume(returning: false)
        }
        if !isDue { throw CancellationError() }
    }
}

extension InMemoryMesh.Configuration {
    /// Creates the default configuration on a clock that the test moves.
    public init(clock: ManualClock) {
        self.init(now: { clock.timestamp }, sleep: { try await clock.sleep(until: clock.now.advanced(by: $0)) })
    }
}
