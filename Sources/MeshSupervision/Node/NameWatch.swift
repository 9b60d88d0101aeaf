import MeshConcurrency
import MeshEvents

/// Watches for other nodes with a node's name.
final class NameWatch: Sendable {
    private let name: String
    private let instance: String
    private let host: String
    private let interval: Duration
    private let stopwatch: Stopwatch
    private let presence: Locked<NamePresence>

    /// - Parameters:
    ///   - name: the node's name.
    ///   - instance: its id.
    ///   - host: the host it runs on.
    ///   - interval: the interval of another node that does not publish its own.
    init(name: String, instance: String, host: String, interval: Duration, started: Timestamp, stopwatch: Stopwatch) {
        self.name = name
        self.instance = instance
        self.host = host
        self.interval = interval
        self.stopwatch = stopwatch
        presence = Locked(NamePresence(instance: instance, started: started))
    }

    /// The node that has the same name; `nil` when there is none.
    var conflict: NameConflict? {
        conflict(presence.withLock { $0.rival })
    }

    /// Takes in an event.
    ///
    /// - Returns: whether a conflict has begun or ended with it.
    func see(_ event: Event) -> Bool {
        guard event.node == name else { return false }
        switch event.type {
        case .nodeJoined: return see(event, event.data["capabilities"], isJoin: true)
        case .nodeHealth: return see(event, event.data["resources"], isJoin: false)
        case .nodeLeft: return change { $0.leave() }
        default: return false
        }
    }

    /// Takes in that time has passed.
    ///
    /// - Returns: whether a conflict has ended with it.
    func advance() -> Bool {
        let now = stopwatch.elapsed
        return change { $0.advance(to: now) }
    }

    private func see(_ event: Event, _ facts: EventData.Field?, isJoin: Bool) -> Bool {
        let instance = facts?["instance"]?.string
        // A node of another implementation sends no instance; of its events only `node.joined` counts.
        guard isJoin || instance != nil else { return false }
        let seconds = facts?["interval_s"]?.double.flatMap { $0 > 0 && $0 <= 86_400 ? $0 : nil }
        let sighting = NamePresence.Sighting(
            instance: String((instance ?? "").prefix(64)),
            host: String((facts?["host"]?.string ?? "").prefix(255)),
            time: event.timestamp,
            interval: seconds.map { .seconds($0) } ?? interval
        )
        let now = stopwatch.elapsed
        return change { $0.see(sighting, at: now) }
    }

    private func change(_ body: (inout NamePresence) -> Void) -> Bool {
        presence.withLock { presence in
            let before = presence.rival != nil
            body(&presence)
            return before != (presence.rival != nil)
        }
    }

    private func conflict(_ rival: (instance: String, host: String)?) -> NameConflict? {
        rival.map { NameConflict(name: name, host: host, otherHost: $0.host, otherInstance: $0.instance) }
    }
}

/// A conflict with another live node of the same name.
public struct NameConflict: Sendable, Hashable {
    /// The name both have.
    public let name: String
    /// The host this node runs on.
    public let host: String
    /// The host the other one runs on; empty when it does not publish it.
    public let otherHost: String
    /// The other one's ``MeshNode/instance``; empty when it does not publish it.
    public let otherInstance: String

    /// Creates a description of a conflict.
    public init(name: String, host: String, otherHost: String, otherInstance: String) {
        self.name = name
        self.host = host
        self.otherHost = otherHost
        self.otherInstance = otherInstance
    }
}

/// Measures the time since its start on any clock.
struct Stopwatch: Sendable {
    private let read: @Sendable () -> Duration

    init(_ clock: some Clock<Duration>) {
        let start = clock.now
        read = { start.duration(to: clock.now) }
    }

    /// The time since the start.
    var elapsed: Duration { read() }
}
