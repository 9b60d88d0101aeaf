import Synchronization

/// Lets one side act and wait for the other, again and again.
public final class Turns<Value: Sendable>: Sendable {
    private let waiter = Mutex<CheckedContinuation<Value, any Error>?>(nil)

    /// Creates turns of which none has begun.
    public init() {}

    /// Acts, then waits; returns what the other side says when it was reached.
    public func next(_ act: () throws -> Void) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            waiter.withLock { $0 = continuation }
            do { try act() } catch { waiter.withLock { $0.take() }?.resume(throwing: error) }
        }
    }

    /// Ends the turn; harmless when there is none.
    public func end(_ value: Value) {
        waiter.withLock { $0.take() }?.resume(returning: value)
    }
}
