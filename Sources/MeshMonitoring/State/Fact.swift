import MeshEvents

/// The time of a statement: facts are ordered by it, not by their order of arrival.
struct Stamp: Sendable, Hashable, Comparable {
    /// The moment, by the clock of the node that emitted the event.
    var at: Timestamp
    /// The place in the stream, which decides between equal moments; 0 when it is not known.
    var sequence: UInt64 = 0

    static func < (left: Stamp, right: Stamp) -> Bool {
        left.at == right.at ? left.sequence < right.sequence : left.at < right.at
    }
}

/// The newest known value of one property, with its time.
struct Fact<Value: Sendable & Equatable>: Sendable, Equatable {
    var value: Value
    var stamp: Stamp

    /// Stores the value, unless a newer one is known.
    ///
    /// - Returns: Whether it was stored.
    @discardableResult
    static func learn(_ fact: inout Fact?, _ value: Value, at stamp: Stamp) -> Bool {
        if let known = fact?.stamp, stamp < known { return false }
        fact = Fact(value: value, stamp: stamp)
        return true
    }
}

extension Stamp {
    /// The later of two, either of which may be missing.
    static func latest(_ one: Stamp?, _ two: Stamp?) -> Stamp? {
        guard let one, let two else { return one ?? two }
        return max(one, two)
    }

    /// The earlier of two, either of which may be missing.
    static func earliest(_ one: Stamp?, _ two: Stamp?) -> Stamp? {
        guard let one, let two else { return one ?? two }
        return min(one, two)
    }
}
