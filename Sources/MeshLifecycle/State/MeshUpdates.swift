public import MeshEvents

/// The changes of a mesh, from the call of ``MeshMonitor/updates()`` on, in the order in which they were noticed.
///
/// It ends when the monitor is closed, and throws when the monitor cannot go on. It keeps its monitor alive. A reader that
/// is slow loses the oldest changes beyond ``MeshMonitor/Configuration/bufferedUpdates`` and
/// ``MeshMonitor/Configuration/bufferedBytes``, counted by ``missed``; ``MeshMonitor/state`` is always complete.
public struct MeshUpdates: AsyncSequence, Sendable {
    /// A change.
    public typealias Element = MeshUpdate
    /// The only error it throws.
    public typealias Failure = MeshEventsError

    let monitor: MeshMonitor
    let reader: UpdateReader

    /// How many changes were thrown away because too many waited.
    public var missed: UInt64 { reader.queue.missed }

    /// An iterator; several share the changes.
    public func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(monitor: monitor, reader: reader)
    }

    /// Hands over one change after the other.
    public struct AsyncIterator: AsyncIteratorProtocol {
        let monitor: MeshMonitor
        let reader: UpdateReader

        /// The next change; `nil` at the end, and when the task is cancelled.
        public mutating func next(
            isolation actor: isolated (any Actor)?
        ) async throws(MeshEventsError) -> MeshUpdate? {
            if let update = await reader.queue.next() { return update }
            if !Task.isCancelled, let failure = monitor.failure { throw failure }
            return nil
        }

        /// The next change; `nil` at the end, and when the task is cancelled.
        public mutating func next() async throws(MeshEventsError) -> MeshUpdate? {
            try await next(isolation: #isolation)
        }
    }
}

/// A reader's place among those of a monitor, given up with the last reference.
final class UpdateReader: Sendable {
    let queue: UpdateQueue
    private let onEnd: @Sendable () -> Void

    init(queue: UpdateQueue, onEnd: @escaping @Sendable () -> Void) {
        self.queue = queue
        self.onEnd = onEnd
    }

    deinit { onEnd() }
}
