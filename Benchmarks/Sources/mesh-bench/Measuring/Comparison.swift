/// One of the two things that are compared: runs once and says what it measured, always the same number of values.
typealias Measure = @Sendable () async throws -> [Double]

/// What one quantity came to, on both sides, in runs that took turns.
struct Comparison {
    var ours: [Double] = []
    var yardstick: [Double] = []

    /// Ours in terms of the yardstick, pair by pair: what disturbs the machine for a while disturbs both.
    var ratios: [Double] { zip(ours, yardstick).map { $0 / $1 } }

    /// How much more ours is, pair by pair.
    var differences: [Double] { zip(ours, yardstick).map { $0 - $1 } }

    /// Runs both sides by turns, each first in every second pair, after one pair that does not count.
    ///
    /// - Returns: one comparison for each value that a run measures.
    static func run(pairs: Int, ours: Measure, yardstick: Measure) async throws -> [Comparison] {
        _ = try await yardstick()
        var comparisons = try await ours().map { _ in Comparison() }
        for pair in 0..<pairs {
            let our: [Double]
            let their: [Double]
            if pair.isMultiple(of: 2) {
                our = try await ours()
                their = try await yardstick()
            } else {
                their = try await yardstick()
                our = try await ours()
            }
            for index in comparisons.indices {
                comparisons[index].ours.append(our[index])
                comparisons[index].yardstick.append(their[index])
            }
        }
        return comparisons
    }
}
