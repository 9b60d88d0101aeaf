import MeshEvents

/// What others than a node itself say of it: a keeper, which follows all nodes, or a person.
///
/// Its time is that at which the server stored it. The clocks of several machines are not comparable; the order in which
/// one server stores their events is.
enum NodeReport: Sendable, Equatable {
    /// No event came from it for some health intervals.
    ///
    /// - Parameter lastSeen: when its last event was stored; `nil` when that is not said.
    case unreachable(lastSeen: Timestamp?)
    /// It is back.
    case recovered
    /// What was said before no longer counts.
    case forgotten
    /// For this time nothing is announced about it; zero ends an earlier report.
    case maintenance(Duration, reason: String)

    /// The longest maintenance: a year. A longer one counts as this long.
    static let longestMaintenance: Duration = .seconds(365 * 86_400)

    /// Reads a report, leniently; `nil` when the event is none.
    init?(_ event: Event) {
        let data = event.data
        switch event.type {
        case .nodeUnreachable:
            self = .unreachable(lastSeen: data["last_seen"]?.string.flatMap { try? Timestamp(rfc3339: $0) })
        case .nodeRecovered: self = .recovered
        case .nodeForgotten: self = .forgotten
        case .nodeMaintenance:
            let seconds = data["for_s"]?.double ?? 0
            let duration = seconds > 0 ? min(.seconds(min(seconds, 1e9)), Self.longestMaintenance) : .zero
            self = .maintenance(duration, reason: data.text("reason"))
        default: return nil
        }
    }
}

/// The newest report of each kind about a node.
struct NodeReports: Sendable, Equatable {
    /// What a keeper has announced.
    struct Silence: Sendable, Equatable {
        /// When the node's last event was stored; `nil` when that is not said.
        var lastSeen: Timestamp?
    }

    /// A time in which nothing is announced.
    struct Maintenance: Sendable, Equatable {
        var until: Timestamp
        var reason: String
    }

    var unreachable: Fact<Silence>?
    var recovered: Stamp?
    var forgotten: Stamp?
    var maintenance: Fact<Maintenance>?

    /// Takes in a report.
    mutating func apply(_ report: NodeReport, at stamp: Stamp) {
        switch report {
        case .unreachable(let lastSeen):
            Fact.learn(&unreachable, Silence(lastSeen: lastSeen.map { min($0, stamp.at) }), at: stamp)
        case .recovered: recovered = Stamp.latest(recovered, stamp)
        case .forgotten: forgotten = Stamp.latest(forgotten, stamp)
        case .maintenance(let duration, let reason):
            Fact.learn(&maintenance, Maintenance(until: stamp.at.adding(duration), reason: reason), at: stamp)
        }
    }

    /// Takes in what is known elsewhere.
    mutating func merge(_ other: NodeReports) {
        Fact.merge(&unreachable, other.unreachable)
        recovered = Stamp.latest(recovered, other.recovered)
        forgotten = Stamp.latest(forgotten, other.forgotten)
        Fact.merge(&maintenance, other.maintenance)
    }

    /// The announcement that has not been taken back; `nil` when there is none.
    var open: Fact<Silence>? {
        guard let unreachable else { return nil }
        let end = Stamp.latest(recovered, forgotten)
        return end.map { $0 < unreachable.stamp } ?? true ? unreachable : nil
    }

    /// The maintenance at a moment; `nil` when there is none.
    func maintenance(at now: Timestamp) -> Maintenance? {
        guard let maintenance, now < maintenance.value.until else { return nil }
        return forgotten.map { $0 < maintenance.stamp } ?? true ? maintenance.value : nil
    }

    /// The time of the newest report.
    var newest: Stamp? {
        [unreachable?.stamp, recovered, forgotten, maintenance?.stamp].compactMap(\.self).max()
    }

    /// The approximate size of the texts, in bytes.
    var bytes: Int { maintenance?.value.reason.utf8.count ?? 0 }
}
