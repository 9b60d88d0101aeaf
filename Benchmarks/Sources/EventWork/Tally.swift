public import MeshEvents

/// What a subscriber has seen; reads two fields of each event.
///
/// Unchecked because a subscription has one consumer, and whoever reads the result has waited for it.
public final class Tally: @unchecked Sendable {
    // Unchecked, or counting would cost more than half of what looking up a field does.
    /// How many events there were.
    @exclusivity(unchecked) public private(set) var count = 0
    /// What their numbers add up to.
    @exclusivity(unchecked) public private(set) var sum = 0
    /// How many had the status they were sent with.
    @exclusivity(unchecked) public private(set) var online = 0

    /// Creates an empty tally.
    public init() {}

    /// Adds an event; returns how many there have been.
    @inline(__always)
    @discardableResult
    public func add(_ event: Event) -> Int {
        count += 1
        sum &+= event.data["resources"]?["seq"]?.int ?? 0
        if event.data["status"]?.string == "online" { online += 1 }
        return count
    }

    /// Throws unless `count` events arrived, the numbers from 0 on, each once.
    public func check(_ count: Int, dropped: UInt64 = 0) throws(BenchmarkError) {
        let expected = count * (count - 1) / 2
        guard dropped == 0, self.count == count, sum == expected, online == count else {
            throw BenchmarkError(
                "of \(count) events \(self.count) arrived (\(online) of them as sent), \(dropped) were dropped, "
                    + "their numbers add up to \(sum) instead of \(expected)"
            )
        }
    }
}
