/// What is to be reached, and how a comparison says whether it is.
struct Goal {
    enum Bound {
        case atLeast(Double)
        case atMost(Double)
        /// For context only.
        case none

        func holds(_ value: Double) -> Bool {
            switch self {
            case .atLeast(let limit): value >= limit
            case .atMost(let limit): value <= limit
            case .none: true
            }
        }

        var text: String {
            switch self {
            case .atLeast(let limit): " (goal at least \(limit.text(2)))"
            case .atMost(let limit): " (goal at most \(limit.text(2)))"
            case .none: ""
            }
        }
    }

    enum Unit {
        /// Thousands a second; more is better.
        case rate
        /// Microseconds; less is better.
        case time
        /// Milliseconds; less is better.
        case milliseconds

        func text(_ value: Double) -> String {
            switch self {
            case .rate: "\((value / 1000).text(0))k/s"
            case .time: "\(value.text(1)) us"
            case .milliseconds: "\(value.text(1)) ms"
            }
        }
    }

    /// How ours stands to the yardstick.
    enum Relation {
        /// So many times it.
        case ratio
        /// So much more than it, in the unit.
        case difference

        func values(_ comparison: Comparison) -> [Double] {
            switch self {
            case .ratio: comparison.ratios
            case .difference: comparison.differences
            }
        }

        func text(_ value: Double, _ unit: Unit) -> String {
            switch self {
            case .ratio: "\(value.text(2)) x"
            case .difference: "\(unit.text(value)) more than"
            }
        }
    }

    let name: String
    let yardstick: String
    let bound: Bound
    let unit: Unit
    var relation = Relation.ratio

    /// Prints one line; returns whether the goal is reached.
    func report(_ comparison: Comparison) -> Bool {
        let values = relation.values(comparison)
        let ratio = values.median
        let holds = bound.holds(ratio)
        let verdict: String
        if case .none = bound { verdict = "" } else { verdict = holds ? " ok" : " MISSED" }
        print("\(name): \(relation.text(ratio, unit)) \(yardstick)\(bound.text)\(verdict)")
        print(
            "    \(range(values) { relation.text($0, unit) }); ours \(medianAndRange(comparison.ours)); "
                + "\(yardstick) \(medianAndRange(comparison.yardstick))"
        )
        return holds
    }

    private func medianAndRange(_ values: [Double]) -> String {
        "\(unit.text(values.median)) (\(range(values, unit.text)))"
    }

    private func range(_ values: [Double], _ text: (Double) -> String) -> String {
        "\(text(values.spread.lowerBound)) to \(text(values.spread.upperBound))"
    }
}
