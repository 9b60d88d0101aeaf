import MeshEvents

/// What `mesh-events doctor` found about one thing.
struct Finding: Sendable, Equatable {
    /// How good it is.
    enum Verdict: String, Sendable, Comparable {
        case fine = "ok"
        /// It works; the text says what could be better.
        case advice
        /// It does not work, or no person would be told when something fails.
        case failure

        private var order: Int {
            switch self {
            case .fine: 0
            case .advice: 1
            case .failure: 2
            }
        }

        static func < (a: Verdict, b: Verdict) -> Bool { a.order < b.order }
    }

    /// What it is about, in one word: `server`, `stream`, `clocks` …
    let topic: String
    let verdict: Verdict
    /// A sentence without a full stop.
    let text: String
    /// What to do; `nil` when there is nothing.
    let cure: String?

    init(_ topic: String, _ verdict: Verdict, _ text: String, cure: String? = nil) {
        self.topic = topic
        self.verdict = verdict
        self.text = text
        self.cure = cure
    }

    /// The finding as JSON.
    var json: JSONValue {
        [
            "topic": .string(topic), "verdict": .string(verdict.rawValue), "text": .string(text),
            "cure": cure.map { .string($0) } ?? .null,
        ]
    }
}

extension Sequence<Finding> {
    /// The worst verdict; `fine` when there are no findings.
    var worst: Finding.Verdict { map(\.verdict).max() ?? .fine }

    /// The lines for people: a word for the verdict, what it is about, what was found, and below that what to do.
    func lines(isColored: Bool, width: Int?) -> [String] {
        var table = FactTable()
        for finding in self {
            let style: Style =
                switch finding.verdict {
                case .fine: .plain
                case .advice: .yellow
                case .failure: .red
                }
            let mark =
                switch finding.verdict {
                case .fine: "ok    "
                case .advice: "advice"
                case .failure: "FAILED"
                }
            table.add("\(mark)  \(finding.topic)", finding.text, style)
            table.add("", finding.cure.map { "→ \($0)" })
        }
        return table.lines(isColored: isColored, width: width)
    }
}
