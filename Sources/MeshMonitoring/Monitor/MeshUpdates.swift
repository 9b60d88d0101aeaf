public import MeshEvents

/// The changes of a mesh from the call of ``MeshMonitor/updates()`` on, in the order in which the monitor noticed them.
///
/// It ends when the monitor is closed, and throws when the monitor fails. It keeps its monitor alive. A slow reader
/// loses the oldest changes beyond ``MeshMonitor/Configuration/bufferedUpdates`` and
/// ``MeshMonitor/Configuration/bufferedBytes``, counted by ``missed``; ``MeshMonitor/state`` is always complete.
public struct MeshUpdates: AsyncSequence, Sendable {
    /// A change.
    public typealias Element = MeshUpdate
    /// The only error it throws.
    public typealias Failure = MeshEventsError

    let monitor: MeshMonitor
    let reader: UpdateReader

    /// How many changes were dropped because too many waited.
    public var missed: UInt64 { reader.queue.missed }

    /// Makes an iterator. Several iterators share the changes: each change goes to one of them.
    public func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(monitor: monitor, reader: reader)
    }

    /// Delivers the changes one by one.
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

/// The registration of one reader with a monitor; it ends with the last reference.
final class UpdateReader: Sendable {
    let queue: UpdateQueue
    private let onEnd: @Sendable () -> Void

    init(queue: UpdateQueue, onEnd: @escaping @Sendable () -> Void) {
        self.queue = queue
        self.onEnd = onEnd
    }

    deinit { onEnd() }
}

/// A change of the mesh, as ``MeshMonitor/updates()`` delivers it.
public struct MeshUpdate: Sendable, Hashable {
    /// The parts that changed.
    public let change: MeshState.Change
    /// The node after the change.
    public let node: MeshState.Node
    /// The event that caused the change; `nil` when the node became unreachable or silent, or was forgotten.
    public let cause: StoredEvent?
}

extension MeshUpdate {
    /// The approximate size of an update without its texts, in bytes.
    private static let ownBytes = 1_024

    /// The approximate size of a waiting update, in bytes, without what it shares with the state.
    var bytes: Int {
        var bytes = Self.ownBytes + node.name.utf8.count + node.resources.json.utf8.count + node.toolViews.changeBytes
        guard let event = cause?.event else { return bytes }
        bytes += event.data.json.utf8.count
        for field in event.origin?.headers.fields ?? [] { bytes += field.name.utf8.count + field.value.utf8.count }
        return bytes
    }
}
