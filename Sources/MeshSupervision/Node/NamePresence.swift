import MeshEvents

/// The other nodes with this node's name: a pure value; times are those since this node's start.
///
/// Every node publishes an instance id, new with each start. Another id under this node's name means another node, or
/// the node's own previous run, of which late events may still arrive. Another node counts as live
/// - at once, when its event was made after this node's start, by the other node's clock;
/// - else at an event half an interval or more after the first, whatever its clock shows.
///
/// It no longer counts after a `node.left` under that name, or after three of its intervals without an event.
struct NamePresence {
    /// An event that shows that a node runs.
    struct Sighting {
        let instance: String
        let host: String
        /// The event's own time.
        let time: Timestamp
        /// The pause between its health events, as that node publishes it.
        let interval: Duration
    }

    private struct Other {
        let firstSeen: Duration
        var lastSeen: Duration
        var host: String
        var interval: Duration
        var isLive: Bool
    }

    /// After how many intervals without an event a node counts as gone.
    static let missedIntervals = 3

    private let instance: String
    private let started: Timestamp
    private var others: [String: Other] = [:]

    /// - Parameters:
    ///   - instance: this node's own id.
    ///   - started: when this node started.
    init(instance: String, started: Timestamp) {
        self.instance = instance
        self.started = started
    }

    /// Another live node of this name; `nil` when there is none.
    var rival: (instance: String, host: String)? {
        let live = others.filter(\.value.isLive).min { $0.key < $1.key }
        return live.map { ($0.key, $0.value.host) }
    }

    /// Takes in an event of a node of this name.
    mutating func see(_ sighting: Sighting, at now: Duration) {
        guard sighting.instance != instance else { return }
        advance(to: now)
        guard var other = others[sighting.instance] else {
            // A client that invents ids must not fill the memory.
            guard others.count < 16 else { return }
            others[sighting.instance] = Other(
                firstSeen: now,
                lastSeen: now,
                host: sighting.host,
                interval: sighting.interval,
                isLive: sighting.time > started
            )
            return
        }
        other.lastSeen = now
        if !sighting.host.isEmpty { other.host = sighting.host }
        other.interval = sighting.interval
        other.isLive = other.isLive || sighting.time > started || now - other.firstSeen >= sighting.interval / 2
        others[sighting.instance] = other
    }

    /// Takes in a `node.left` under this name. It has no instance id: with exactly one other node, it is that node's.
    mutating func leave() {
        if others.count == 1 { others = [:] }
    }

    /// Removes the nodes that have sent no event for three of their intervals.
    mutating func advance(to now: Duration) {
        others = others.filter { now - $0.value.lastSeen < $0.value.interval * Self.missedIntervals }
    }
}
