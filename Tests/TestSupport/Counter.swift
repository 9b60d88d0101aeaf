import Synchronization

/// A number that many threads count up.
public final class Counter: Sendable {
    private let value = Atomic(0)

    /// Creates one at zero.
    public init() {}

    /// How far it is.
    public var count: Int { value.load(ordering: .acquiring) }

    /// Counts up.
    ///
    /// - Returns: how far it is now.
    @discardableResult
    public func add(_ number: Int = 1) -> Int { value.add(number, ordering: .acquiringAndReleasing).newValue }
}
