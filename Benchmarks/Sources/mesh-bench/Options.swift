/// What the command line asks for.
struct Options {
    static let usage = """
        usage: mesh-bench [--check] [--pairs N] [--count N] [--ours] [WHAT ...]
          WHAT      P1 to P8, P10: a goal; more: rows for context; steps: one event step by step. Default: all.
          --check   exit with 1 when a goal is missed
          --pairs   how many times each side runs, at least 5 (default 7)
          --count   how many events a run has (default 1000000 for P1, 250000 where they are received,
                    200000 for P5 and P10)
          --ours    run only our side, for a profiler
        The server: MESH_EVENTS_NATS_SERVER, else the first nats-server of PATH.
        """
    static let everything = ["P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8", "P10", "more", "steps"]

    var what: [String] = []
    var isCheck = false
    var isOursOnly = false
    var pairs = 7
    var count: Int?

    init(_ arguments: [String]) throws {
        var arguments = arguments[...]
        while let argument = arguments.popFirst() {
            switch argument {
            case "--check": isCheck = true
            case "--ours": isOursOnly = true
            case "--pairs": pairs = try Self.number(arguments.popFirst(), for: argument, atLeast: 5)
            case "--count": count = try Self.number(arguments.popFirst(), for: argument, atLeast: 1000)
            default:
                guard let known = Self.everything.first(where: { $0.lowercased() == argument.lowercased() }) else {
                    throw BenchmarkError("what is \(argument)?\n\(Self.usage)")
                }
                what.append(known)
            }
        }
        if what.isEmpty { what = Self.everything }
    }

    private static func number(_ text: String?, for option: String, atLeast least: Int) throws -> Int {
        guard let text, let number = Int(text), number >= least else {
            throw BenchmarkError("\(option) needs a number of at least \(least)\n\(usage)")
        }
        return number
    }
}

extension Options {
    /// Runs both sides by turns, prints a line for each goal, returns whether all were reached.
    func compare(_ goals: [Goal], ours: Measure, yardstick: Measure) async throws -> Bool {
        guard !isOursOnly else {
            for _ in 0..<pairs { _ = try await ours() }
            return true
        }
        let comparisons = try await Comparison.run(pairs: pairs, ours: ours, yardstick: yardstick)
        var isReached = true
        for (goal, comparison) in zip(goals, comparisons) { isReached = goal.report(comparison) && isReached }
        return isReached
    }
}
