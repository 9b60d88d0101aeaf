import Synchronization

/// Lets one side act and wait for the other, again and again.
final class Turns: Sendable {
    private let waiter = Mutex<CheckedContinuation<Double, any Error>?>(nil)

    /// Acts, then waits; returns when the other side says it was reached.
    func next(_ act: () throws -> Void) async throws -> Double {
        try await withCheckedThrowingContinuation { continuation in
            waiter.withLock { $0 = continuation }
            do { try act() } catch { waiter.withLock { $0.take() }?.resume(throwing: error) }
        }
    }

    func arrived(at time: Double) {
        waiter.withLock { $0.take() }?.resume(returning: time)
    }
}
