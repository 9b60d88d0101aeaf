import MeshEvents

/// The number of events by type and time.
struct Histogram: Sendable, Equatable {
    /// The most crash and leave events that are marked; the newest count.
    static let maximumMarks = 200
    /// The most types with a series of their own; those with the most events count.
    static let maximumSeries = 100

    /// The counts of one type.
    struct Series: Sendable, Equatable {
        let type: String
        let counts: [Int]
        var total: Int { counts.reduce(0, +) }
    }

    /// An important event that is marked by itself.
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
    /// The last sequence that was counted: every matching event up to it, and none after it.
    let through: UInt64
    /// The series by total, the largest first.
    var series: [Series] = []
    /// How many types are not in the series, and how many events they have.
    var leftOutTypes = 0
    var leftOutEvents = 0
    /// The marks, oldest first.
    var marks: [Mark] = []

    /// Whether events of this type are marked: a tool crashed, or a node left.
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
