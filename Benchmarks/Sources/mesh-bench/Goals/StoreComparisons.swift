import MeshEvents

/// The goals of the store: P5 to P8, each on a server of its own.
struct StoreComparisons {
    let options: Options

    /// Returns whether the goal was reached.
    func run(_ what: String) async throws -> Bool {
        let store = try await StoreMeasures()
        let result: Result<Bool, any Error>
        do {
            let isReached =
                switch what {
                case "P5": try await compareStoring(store)
                case "P6": try await compareReading(store)
                case "P7": try await compareLengths(store)
                default: try await compareFewer(store)
                }
            result = .success(isReached)
        } catch {
            result = .failure(error)
        }
        await store.close()
        return try result.get()
    }

    private func compareStoring(_ store: StoreMeasures) async throws -> Bool {
        let count = options.count(200_000)
        return try await options.compare(
            [Goal(name: "P5 acked emit", yardstick: "raw libnats pipelined", bound: .atLeast(1.0), unit: .rate)],
            ours: store.emit(count),
            yardstick: store.raw(count)
        )
    }

    private func compareReading(_ store: StoreMeasures) async throws -> Bool {
        let count = 10_000
        try await store.fill(count, userEventEvery: count)
        return try await options.compare(
            [
                Goal(
                    name: "P6 history of 10000",
                    yardstick: "raw libnats pull",
                    bound: .atMost(1.5),
                    unit: .milliseconds
                )
            ],
            ours: store.history(.all, limit: count, expecting: count),
            yardstick: store.pull(count)
        )
    }

    /// The newest 50 of those that are one in a hundred, in a long stream and in a short one.
    private func compareLengths(_ long: StoreMeasures) async throws -> Bool {
        let short = try await StoreMeasures()
        let length = options.isQuick ? 100_000 : 1_000_000
        try await short.fill(10_000, userEventEvery: 100)
        try await long.fill(length, userEventEvery: 100)
        let goal = Goal(
            name: "P7 newest 50, 1 in 100, of \(length)",
            yardstick: "of 10000",
            bound: .atMost(3),
            unit: .milliseconds
        )
        func newest(_ store: StoreMeasures) -> Measure {
            store.history("events.user.bench", limit: 50, expecting: 50, repetitions: 5)
        }
        let isReached = try await options.compare([goal], ours: newest(long), yardstick: newest(short))
        await short.close()
        return isReached
    }

    /// A limit that is not reached, against one that is: the rest would be waiting.
    private func compareFewer(_ store: StoreMeasures) async throws -> Bool {
        let count = 100
        try await store.fill(count, userEventEvery: count)
        let goal = Goal(
            name: "P8 history of 100 when 1000 are asked for",
            yardstick: "when 100 are",
            bound: .atMost(10),
            unit: .milliseconds,
            relation: .difference
        )
        return try await options.compare(
            [goal],
            ours: store.history(.all, limit: 1_000, expecting: count, repetitions: 5),
            yardstick: store.history(.all, limit: count, expecting: count, repetitions: 5)
        )
    }
}
