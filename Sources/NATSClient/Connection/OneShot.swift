import Locking
import NIOCore

/// A promise that is completed once: by the answer, the deadline or a cancellation, whichever comes first.
final class OneShot<Value: Sendable>: Sendable {
    private let promise: Locked<EventLoopPromise<Value>?>

    init(_ promise: EventLoopPromise<Value>) {
        self.promise = Locked(promise)
    }

    func complete(_ result: Result<Value, NATSError>) {
        let promise = promise.withLock { promise in
            defer { promise = nil }
            return promise
        }
        promise?.completeWith(result.mapError { $0 })
    }
}
