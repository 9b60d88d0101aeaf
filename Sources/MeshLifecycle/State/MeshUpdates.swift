public import MeshEvents
import Synchronization

/// The changes of a mesh, from the call of ``MeshMonitor/updates()`` on, in the order in which they were noticed.
///
/// It ends when the monitor is closed, and throws when the monitor cannot go on. It keeps its monitor alive. A reader that
/// is slow loses the oldest changes, counted by ``missed``; ``MeshMonitor/state`` is always complete.
public struct MeshUpdates: AsyncSequence, Sendable {
    /// A change.
    public typealias Element = MeshUpdate
    /// The only error it throws.
    public typealias Failure = MeshEventsError

    let monitor: MeshMonitor
    let stream: AsyncStream<MeshUpdate>
    let counter: MissedUpdates

    /// How many changes were thrown away because too many waited.
    public var missed: UInt64 { counter.count.load(ordering: .relaxed) }

    /// An iterator; several share the changes.
    public func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(monitor: monitor, iterator: stream.makeAsyncIterator())
    }

    /// Hands over one change after the other.
    public struct AsyncIterator: AsyncIteratorProtocol {
        let monitor: MeshMonitor
        var iterator: AsyncStream<MeshUpdate>.Iterator

        /// The next change; `nil` at the end, and when the task is cancelled.
        public mutating func next(
            isolation actor: isolated (any Actor)?
        ) async throws(MeshEventsError) -> MeshUpdate? {
            if let update = await iterator.next(isolation: actor) { return update }
            if !Task.isCancelled, let failure = monitor.failure { throw failure }
            return nil
        }

        /// The next change; `nil` at the end, and when the task is cancelled.
        public mutating func next() async throws(MeshEventsError) -> MeshUpdate? {
            try await next(isolation: #isolation)
        }
    }
}

/// How many updates one reader has missed.
final class MissedUpdates: Sendable {
    let count = Atomic<UInt64>(0)
}
