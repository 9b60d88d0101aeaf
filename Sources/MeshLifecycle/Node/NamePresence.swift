import MeshEvents

/// Who else goes by a node's name: a pure value; times are those since the node's start.
///
/// Every node publishes an instance id, new with each start. Another id under the own name means another node, unless it
/// is the node's own previous life, of which late events may still be on their way. Another node counts as live
/// - at once, when its event was made after this node's start, by its own clock;
/// - else at its second sign of life half an interval or more after the first, whatever its clock shows.
///
/// It no longer counts once a node of that name has said that it leaves, or after three of its intervals of silence.
struct NamePresence {
    /// A sign of life.
    struct Sighting {
        let instance: String
        let host: String
        /// The event's own time.
        let time: Timestamp
        /// The pause until the next sign of life, as the other node says.
        let interval: Duration
    }

    private struct Other {
        let firstSeen: Duration
        var lastSeen: Duration
        var host: String
        var interval: Duration
        var isLive: Bool
    }

    /// After how many intervals of silence a node counts as gone.
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

    /// Somebody of this name has shown a sign of life.
    mutating func see(_ sighting: Sighting, at now: Duration) {
        guard sighting.instance != instance else { return }
        advance(to: now)
        guard var other = others[sighting.instance] else {
            // A stranger who makes up ids must not fill the memory.
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

    /// Somebody of this name has left. The event does not say which: when there is only one, it was that one.
    mutating func leave() {
        if others.count == 1 { others = [:] }
    }

    /// Time has passed: who has been silent for three intervals is gone.
    mutating func advance(to now: Duration) {
        others = others.filter { now - $0.value.lastSeen < $0.value.interval * Self.missedIntervals }
    }
}
