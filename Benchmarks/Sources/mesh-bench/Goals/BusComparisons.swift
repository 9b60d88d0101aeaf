/// The goals of the bus without a store, P1 to P4, and what is measured beside them.
struct BusComparisons {
    private let options: Options
    private let url: String
    private let raw: RawMeasures
    private let events: EventMeasures
    /// How many events a run has that only emits, and how many one that receives.
    private let many: Int
    private let some: Int

    init(options: Options, url: String) async throws {
        self.options = options
        self.url = url
        raw = try RawMeasures(url: url)
        events = try await EventMeasures(url: url)
        many = options.count(1_000_000)
        some = options.count(250_000)
    }

    /// Returns whether the goal was reached.
    func run(_ what: String) async throws -> Bool {
        switch what {
        case "P1": try await compareEmitting()
        case "P2":
            try await options.compare(
                [Self.receiving("P2 emit to handler", .atLeast(1.0))],
                ours: events.handle(some),
                yardstick: raw.receive(some)
            )
        case "P3": try await compareSequences()
        case "P4": try await compareOneAtATime()
        default: try await compareOthers()
        }
    }

    private static func emitting(_ name: String, _ bound: Goal.Bound) -> Goal {
        Goal(name: name, yardstick: "raw libnats", bound: bound, unit: .rate)
    }

    private static func receiving(_ name: String, _ bound: Goal.Bound) -> Goal {
        Goal(name: name, yardstick: "raw libnats to callback", bound: bound, unit: .rate)
    }

    private func compareEmitting() async throws -> Bool {
        let payloads = try await options.compare(
            [Self.emitting("P1 emit core, payloads", .atLeast(0.60))],
            ours: events.emit(many),
            yardstick: raw.publish(many)
        )
        let literals = try await options.compare(
            [Self.emitting("P1 emit core, literals", .atLeast(0.60))],
            ours: events.emitLiterals(many),
            yardstick: raw.publish(many)
        )
        return payloads && literals
    }

    private func compareSequences() async throws -> Bool {
        let free = try await options.compare(
            [Self.receiving("P3 emit to AsyncSequence, off any actor", .atLeast(0.9))],
            ours: events.iterate(some),
            yardstick: raw.receive(some)
        )
        let main = try await options.compare(
            [Self.receiving("P3 emit to AsyncSequence, on the main actor", .atLeast(0.9))],
            ours: events.iterateOnMainActor(some),
            yardstick: raw.receive(some)
        )
        return free && main
    }

    private func compareOneAtATime() async throws -> Bool {
        let rounds = options.count(10_000)
        func goal(_ name: String, _ value: Int, _ bound: Double, _ relation: Goal.Relation = .ratio) -> Goal {
            Goal(
                name: "P4 one at a time, \(name)",
                yardstick: "raw libnats SendAsap",
                bound: .atMost(bound),
                unit: .time,
                relation: relation,
                value: value
            )
        }
        return try await options.compare(
            [goal("p50", 0, 1.6), goal("p99", 1, 1.6), goal("p50 on a quiet machine", 0, 107, .absolute)],
            ours: events.oneAtATime(rounds),
            yardstick: raw.oneAtATime(rounds)
        )
    }

    private func compareOthers() async throws -> Bool {
        let client = try await ClientMeasures(url: url)
        _ = try await options.compare(
            [Self.emitting("   our client, publish", .none)],
            ours: client.publish(many),
            yardstick: raw.publish(many)
        )
        return try await options.compare(
            [Self.receiving("   our client, publish to receiver", .none)],
            ours: client.receive(some),
            yardstick: raw.receive(some)
        )
    }
}
