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

    /// Takes in the fact as it is known elsewhere.
    static func merge(_ fact: inout Fact?, _ other: Fact?) {
        if let other { learn(&fact, other.value, at: other.stamp) }
    }
}

extension Stamp {
    /// Whether a fact with this time is from before a report, whose time is that of its storing. In a stream the
    /// sequences decide: the node's clock may be wrong.
    func isBefore(_ report: Stamp) -> Bool {
        sequence > 0 && report.sequence > 0 ? sequence < report.sequence : at <= report.at
    }

    /// Itself, unless it is from before a report.
    func after(_ report: Stamp) -> Stamp? { isBefore(report) ? nil : self }
}

extension Fact {
    /// Itself, unless it is from before a report.
    func after(_ report: Stamp) -> Fact? { stamp.isBefore(report) ? nil : self }
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
