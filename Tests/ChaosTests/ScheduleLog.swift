import MeshEvents
import NATSClient
import NIOCore
import Synchronization
import TestSupport

/// What was seen and done while a schedule ran. Servers, keepers and test run on one machine: its clock is that of all.
final class ScheduleLog: Sendable {
    /// A time in which a node did not emit.
    struct Death: Sendable {
        var node: String
        /// From when on it emitted nothing.
        var begin: Timestamp
        /// When it emitted again; `nil` until then.
        var end: Timestamp?
        /// Whether it lasted until it was announced.
        var isLong: Bool
    }

    /// A time in which a server had a fault.
    struct ServerTrouble: Sendable {
        var fault: String
        var begin: Timestamp
        var end: Timestamp
    }

    /// A write of the lease; `nil` for its release.
    struct Lease: Sendable {
        var at: Timestamp
        var node: String?
    }

    /// A time in which this process stood still.
    struct Stall: Sendable {
        var end: Timestamp
        var length: Duration
    }

    private struct State {
        var events: [StoredEvent] = []
        var deaths: [Death] = []
        var troubles: [ServerTrouble] = []
        var leases: [Lease] = []
        var stalls: [Stall] = []
        var late: [String: Duration] = [:]
    }

    private let state = Mutex(State())

    /// The events about nodes and tools, as they arrived.
    var events: [StoredEvent] { state.withLock { $0.events } }
    var deaths: [Death] { state.withLock { $0.deaths } }
    var troubles: [ServerTrouble] { state.withLock { $0.troubles } }
    var leases: [Lease] { state.withLock { $0.leases } }
    var stalls: [Stall] { state.withLock { $0.stalls } }
    /// How late each node was at most, which was not the server's doing.
    var late: [String: Duration] { state.withLock { $0.late } }

    /// Whether the newest announcement about a node is that it is unreachable.
    func isAnnounced(_ node: String) -> Bool {
        state.withLock { state in
            let newest = state.events.last { stored in
                [.nodeUnreachable, .nodeRecovered].contains(stored.event.type) && stored.event.affectedNode == node
            }
            return newest?.event.type == .nodeUnreachable
        }
    }

    // MARK: Notes

    /// Notes that a node emits nothing from now on; the number of its death.
    func died(_ node: String, isLong: Bool) -> Int {
        state.withLock { state in
            state.deaths.append(Death(node: node, begin: .now, isLong: isLong))
            return state.deaths.count - 1
        }
    }

    func returned(_ death: Int) { state.withLock { $0.deaths[death].end = .now } }

    func note(late: Duration, of node: String) {
        state.withLock { $0.late[node] = max($0.late[node] ?? .zero, late) }
    }

    /// Notes a fault of a server while `body` runs.
    func trouble(_ fault: String, _ body: () async throws -> Void) async throws {
        let number = state.withLock { state in
            state.troubles.append(ServerTrouble(fault: fault, begin: .now, end: Timestamp.now.adding(.seconds(3_600))))
            return state.troubles.count - 1
        }
        try await body()
        state.withLock { $0.troubles[number].end = .now }
    }

    // MARK: Following

    /// Takes in events, until the task is cancelled.
    func follow(_ replay: ReplaySubscription) async throws {
        for try await element in replay {
            if let event = element.event { state.withLock { $0.events.append(event) } }
        }
    }

    /// Takes in writes of the lease, until the task is cancelled.
    func followLease(_ connection: NATSConnection) async throws {
        let jetStream = JetStream(connection: connection)
        while true {
            do {
                for try await update in try await jetStream.openKeyValue("MESH_STATE").watch("keeper") {
                    guard case .entry(let entry) = update else { continue }
                    let data = try? EventData(json: Array(entry.value.readableBytesView))
                    let at = Timestamp(nanosecondsSinceEpoch: entry.created)
                    state.withLock { $0.leases.append(Lease(at: at, node: data?["node"]?.string)) }
                }
            } catch {
                // There is no bucket yet, or a server is away.
                try await Task.sleep(for: .milliseconds(100))
            }
        }
    }

    /// Notes when this process stands still, until the task is cancelled.
    func watchStalls() async throws {
        let step: Duration = .milliseconds(20)
        while true {
            let begun = ContinuousClock.now
            try await Task.sleep(for: step)
            let length = ContinuousClock.now - begun - step
            if length > .milliseconds(40) { state.withLock { $0.stalls.append(Stall(end: .now, length: length)) } }
        }
    }
}
