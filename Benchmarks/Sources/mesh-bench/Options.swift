import EventWork

/// What the command line asks for.
struct Options {
    static let usage = """
        usage: mesh-bench [--check] [--quick] [--pairs N] [--count N] [--seconds N] [--ours] [--long] [WHAT ...]
          WHAT       P1 to P11: a goal; more: rows for context; safety: what TLS, signatures, metrics, spans and acks cost;
                     peer: beside nats-py; steps: one event step by step. Default: all of these.
                     scaling: cost against sizes and numbers, as JSON, one point a line
          --check    exit with 1 when a goal is missed
          --quick    three short runs of each side: shows that everything works, not how fast it is
          --pairs    how many times each side runs, at least 5 (default 7)
          --count    how many events a run has (default 1000000 for P1, 250000 where they are received,
                     200000 for P5 and P10)
          --seconds  how long P9 emits, at least 1 (default 60)
          --ours     run only our side, for a profiler
          --curve    scaling: one of payload, subscribers, emitters, stream, nodes, keeper (default: all)
          --long     scaling, P11: also a stream of 10 million events
        The server: MESH_EVENTS_NATS_SERVER, else the first nats-server of PATH.
        """
    static let everything =
        ["P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8", "P9", "P10", "P11", "more", "safety", "peer", "steps"]

    var what: [String] = []
    var isCheck = false
    var isQuick = false
    var isOursOnly = false
    var isLong = false
    /// The only curve to measure; `nil` for all.
    var curve: String?
    var pairs: Int
    var seconds: Int
    private var count: Int?

    init(_ arguments: [String]) throws {
        var arguments = arguments[...]
        var pairs: Int?
        var seconds: Int?
        while let argument = arguments.popFirst() {
            switch argument {
            case "--check": isCheck = true
            case "--quick": isQuick = true
            case "--ours": isOursOnly = true
            case "--long": isLong = true
            case "--curve":
                curve = arguments.popFirst()
                guard let curve, Scaling.curves.contains(curve) else {
                    throw BenchmarkError("\(argument) needs the name of a curve\n\(Self.usage)")
                }
            case "--pairs": pairs = try Self.number(arguments.popFirst(), for: argument, atLeast: 5)
            case "--count": count = try Self.number(arguments.popFirst(), for: argument, atLeast: 1000)
            case "--seconds": seconds = try Self.number(arguments.popFirst(), for: argument, atLeast: 1)
            default:
                let known = (Self.everything + ["scaling"]).first { $0.lowercased() == argument.lowercased() }
                guard let known else {
                    throw BenchmarkError("what is \(argument)?\n\(Self.usage)")
                }
                what.append(known)
            }
        }
        if what.isEmpty { what = Self.everything }
        self.pairs = pairs ?? (isQuick ? 3 : 7)
        self.seconds = seconds ?? (isQuick ? 5 : 60)
    }

    /// How many events a run has that has `usual` of them, unless something else is asked for.
    func count(_ usual: Int) -> Int { count ?? (isQuick ? max(1_000, usual / 20) : usual) }

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
        for goal in goals { isReached = goal.report(comparisons[goal.value]) && isReached }
        return isReached
    }
}
