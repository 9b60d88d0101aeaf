import MeshEvents

/// How many events of which type there were when.
struct Histogram: Sendable, Equatable {
    /// So many crash and leave events are named at most, the newest.
    static let maximumMarks = 200
    /// So many types are told apart, those with the most events.
    static let maximumSeries = 100

    /// The counts of one type.
    struct Series: Sendable, Equatable {
        let type: String
        let counts: [Int]
        var total: Int { counts.reduce(0, +) }
    }

    /// An event that one wants to see among thousands.
    struct Mark: Sendable, Equatable {
        let sequence: UInt64
        let time: Int64
        let type: String
        let node: String
    }

    /// When the first bucket begins, in milliseconds since the epoch.
    let start: Int64
    /// How long a bucket is, in milliseconds.
    let width: Int64
    let buckets: Int
    /// Whether every event that the stream holds was counted.
    let isComplete: Bool
    /// Every event up to this sequence that fits was counted, and none behind it.
    let through: UInt64
    /// By total, the largest first.
    var series: [Series] = []
    /// How many types are not in the series, and how many events they have.
    var leftOutTypes = 0
    var leftOutEvents = 0
    /// Oldest first.
    var marks: [Mark] = []

    /// Whether events of this type are marked: something crashed, or a node left.
    static func isMarked(_ type: String) -> Bool { type == "tool.crashed" || type == "node.left" }

    var json: EventData {
        [
            "start": Self.time(start),
            "width_ms": JSONValue(width),
            "buckets": JSONValue(buckets),
            "complete": .bool(isComplete),
            "through": JSONValue(through),
            "left_out": ["types": JSONValue(leftOutTypes), "events": JSONValue(leftOutEvents)],
            "series": .array(
                series.map {
                    [
                        "type": .string($0.type), "total": JSONValue($0.total),
                        "counts": .array($0.counts.map { JSONValue($0) }),
                    ]
                }
            ),
            "marks": .array(
                marks.map {
                    [
                        "sequence": JSONValue($0.sequence), "time": Self.time($0.time), "type": .string($0.type),
                        "node": .string($0.node),
                    ]
                }
            ),
        ]
    }

    private static func time(_ milliseconds: Int64) -> JSONValue {
        .string(Timestamp(nanosecondsSinceEpoch: milliseconds * 1_000_000).description)
    }
}
