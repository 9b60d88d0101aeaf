public import Synchronization

/// A `Mutex` whose critical sections the thread sanitizer can see.
///
/// On Linux a contended `Mutex` changes hands inside the kernel (a priority-inheriting futex), where the sanitizer does
/// not look, and it reports races that are none. One atomic, read first and written last in every critical section,
/// shows it the order. Both are plain moves on x86-64.
///
/// Inlinable, or other modules would call it without specialization, for every message.
@usableFromInline
package struct Locked<Value>: ~Copyable {
    @usableFromInline let mutex: Mutex<Value>
    @usableFromInline let handover = Atomic(false)

    /// Protects a value.
    @inlinable
    package init(_ value: consuming sending Value) {
        mutex = Mutex(value)
    }

    /// Works on the value, alone. `body` must not call out.
    @inlinable
    @inline(__always)
    package borrowing func withLock<Result, Failure: Error>(
        _ body: (inout sending Value) throws(Failure) -> sending Result
    ) throws(Failure) -> sending Result {
        try mutex.withLock { value throws(Failure) in
            _ = handover.load(ordering: .acquiring)
            defer { handover.store(false, ordering: .releasing) }
            return try body(&value)
        }
    }
}

extension Locked: Sendable {}
