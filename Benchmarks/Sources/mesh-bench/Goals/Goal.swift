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
    }

    /// How ours stands to the yardstick.
    enum Relation {
        /// So many times it.
        case ratio
        /// So much more than it, in the unit.
        case difference
        /// Ours alone.
        case absolute

        func values(_ comparison: Comparison) -> [Double] {
            switch self {
            case .ratio: comparison.ratios
            case .difference: comparison.differences
            case .absolute: comparison.ours
            }
        }
    }

    let name: String
    let yardstick: String
    let bound: Bound
    let unit: Unit
    var relation = Relation.ratio
    /// Which of the values that a run measures.
    var value = 0

    /// Prints one line; returns whether the goal is reached.
    func report(_ comparison: Comparison) -> Bool {
        let values = relation.values(comparison)
        let middle = values.median
        let holds = bound.holds(middle)
        print("\(name): \(against(middle))\(boundText)\(verdict(holds)); \(details(values, comparison))")
        return holds
    }

    private func against(_ value: Double) -> String {
        switch relation {
        case .ratio: "\(value.text(2)) x \(yardstick)"
        case .difference: "\(unit.text(value)) more than \(yardstick)"
        case .absolute: unit.text(value)
        }
    }

    private func text(_ value: Double) -> String {
        if case .ratio = relation { return value.text(2) }
        return unit.text(value)
    }

    private var boundText: String {
        switch bound {
        case .atLeast(let limit): " (goal \(text(limit)))"
        case .atMost(let limit): " (goal at most \(text(limit)))"
        case .none: ""
        }
    }

    private func verdict(_ holds: Bool) -> String {
        if case .none = bound { return "" }
        return holds ? " ok" : " MISSED"
    }

    /// The spread, and what both sides came to.
    private func details(_ values: [Double], _ comparison: Comparison) -> String {
        if case .absolute = relation { return range(values) }
        return "\(range(values)); ours \(unit.text(comparison.ours.median)) (\(range(comparison.ours, unit.text))), "
            + "\(yardstick) \(unit.text(comparison.yardstick.median)) (\(range(comparison.yardstick, unit.text)))"
    }

    private func range(_ values: [Double], _ text: ((Double) -> String)? = nil) -> String {
        let text = text ?? self.text
        return "\(text(values.spread.lowerBound)) to \(text(values.spread.upperBound))"
    }
}
