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

        func text(_ value: Double) -> String {
            switch self {
            case .rate: "\((value / 1000).text(0))k/s"
            case .time: "\(value.text(1)) us"
            }
        }
    }

    let name: String
    let yardstick: String
    let bound: Bound
    let unit: Unit

    /// Prints one line; returns whether the goal is reached.
    func report(_ comparison: Comparison) -> Bool {
        let ratio = comparison.ratios.median
        let holds = bound.holds(ratio)
        let verdict: String
        if case .none = bound { verdict = "" } else { verdict = holds ? " ok" : " MISSED" }
        print("\(name): \(ratio.text(2)) x \(yardstick)\(bound.text)\(verdict)")
        print(
            "    ratio \(range(comparison.ratios) { $0.text(2) }); ours \(values(comparison.ours)); "
                + "\(yardstick) \(values(comparison.yardstick))"
        )
        return holds
    }

    private func values(_ values: [Double]) -> String {
        "\(unit.text(values.median)) (\(range(values, unit.text)))"
    }

    private func range(_ values: [Double], _ text: (Double) -> String) -> String {
        "\(text(values.spread.lowerBound)) to \(text(values.spread.upperBound))"
    }
}
