import MeshEvents

/// P11: what `mesh-events status` takes does not depend on what is stored.
struct StatusComparison {
    let options: Options

    /// Returns whether the goals were reached.
    func run() async throws -> Bool {
        let length = options.isQuick ? 100_000 : options.isLong ? 10_000_000 : 1_000_000
        let (short, long) = (try await StatusMeasures(), try await StatusMeasures())
        let result: Result<Bool, any Error>
        do {
            try await short.fill(0..<10_000)
            try await long.fill(0..<length)
            let goals = [
                Goal(
                    name: "P11 status of 2000 nodes, \(length) events",
                    yardstick: "of 10000",
                    bound: .atMost(1.5),
                    unit: .milliseconds
                ),
                Goal(
                    name: "P11 status of 2000 nodes, \(length) events",
                    yardstick: "",
                    bound: .atMost(150),
                    unit: .milliseconds,
                    relation: .absolute
                ),
            ]
            result = .success(try await options.compare(goals, ours: long.status(), yardstick: short.status()))
        } catch {
            result = .failure(error)
        }
        await short.close()
        await long.close()
        return try result.get()
    }
}
