import MeshEvents

/// Compares what keepers announced with what happened.
struct ScheduleVerdict: Sendable {
    /// How long after a node's last event it was announced.
    struct Delay: Sendable {
        var seconds: Double
        /// Whether a keeper could announce it in time: the promise counts.
        var isBound: Bool
        /// For how long the machine stood still meanwhile, as far as that was seen, in seconds.
        var stalled: Double
    }

    /// In how many intervals a node is announced.
    static let promised = 3.5

    private(set) var problems: [String] = []
    private(set) var delays: [Delay] = []
    private(set) var unreachable = 0
    private(set) var recovered = 0
    /// How many announcements were stored when the node was back already: they were under way.
    private(set) var overtaken = 0

    private let log: ScheduleLog
    private let keepers: [KeeperProcess]
    private let start: Timestamp

    /// Checks what is in the stream about nodes.
    init(_ events: [StoredEvent], _ log: ScheduleLog, _ keepers: [KeeperProcess], start: Timestamp) throws {
        (self.log, self.keepers, self.start) = (log, keepers, start)
        for (node, events) in Dictionary(grouping: events, by: \.event.affectedNode).sorted(by: { $0.key < $1.key }) {
            if !keepers.contains(where: { $0.name == node }) { try check(node, events) }
        }
    }

    private mutating func check(_ node: String, _ events: [StoredEvent]) throws {
        var own: [StoredEvent] = []
        var open: StoredEvent?
        let deaths = log.deaths.filter { $0.node == node }
        var announced = Array(repeating: 0, count: deaths.count)
        for stored in events.sorted(by: { $0.sequence < $1.sequence }) {
            switch stored.event.type {
            case .nodeUnreachable:
                unreachable += 1
                if open != nil { fail(node, stored, "announced twice") }
                open = stored
                let lastSeen = try NodeUnreachable(eventData: stored.event.data).lastSeen
                guard let last = own.last(where: { $0.storedAt == lastSeen }) else {
                    fail(node, stored, "there is no event of \(time(lastSeen)), when it is said to be seen last")
                    break
                }
                let decided = stored.event.timestamp
                let silence = decided.duration(since: lastSeen)
                if silence < KeeperSchedule.interval * 3 { fail(node, stored, "announced after \(silence)") }
                if own.last?.sequence != last.sequence { overtaken += 1 }
                let death = deaths.lastIndex { death in
                    death.begin <= decided && decided <= (death.end ?? .now).adding(.seconds(1))
                }
                guard let death else {
                    fail(node, stored, "false alarm: it was silent for \(silence), late by \(log.late[node] ?? .zero)")
                    break
                }
                announced[death] += 1
                note(delay: stored.storedAt, last.storedAt)
            case .nodeRecovered:
                recovered += 1
                if open == nil { fail(node, stored, "recovered without having been announced") }
                open = nil
            default: own.append(stored)
            }
        }
        if let open { fail(node, open, "never recovered") }
        for (death, count) in zip(deaths, announced) where count > 1 || (death.isLong && count == 0) {
            problems.append("\(node): its death at \(time(death.begin)) was announced \(count) times")
        }
    }

    private mutating func fail(_ node: String, _ stored: StoredEvent, _ what: String) {
        problems.append("\(node): \(stored.event.type) #\(stored.sequence) at \(time(stored.storedAt)): \(what)")
    }

    private mutating func note(delay stored: Timestamp, _ last: Timestamp) {
        let seconds = stored.duration(since: last) / .seconds(1)
        let stalled = stalled(last.adding(.seconds(1)), stored)
        let isBound = couldAnnounce(last, stored)
        delays.append(Delay(seconds: seconds, isBound: isBound, stalled: stalled))
        // On a busy machine several processes wait in turn for what one of them sees.
        if isBound, seconds > Self.promised + 3 * stalled {
            problems.append(
                "announced \(seconds) s after the last event at \(time(last)), the machine stood still for \(stalled) s"
            )
        }
    }

    /// For how long the machine stood still in a time, in seconds: for this process, and for the keeper with the lease,
    /// which writes it again three times in its duration.
    private func stalled(_ begin: Timestamp, _ end: Timestamp) -> Double {
        let stalls = log.stalls.filter { $0.end > begin && $0.end.subtracting($0.length) < end }
        let own = stalls.reduce(0) { $0 + $1.length / .seconds(1) }
        let writes = log.leases.filter { $0.at > begin.subtracting(.seconds(1)) && $0.at < end.adding(.seconds(1)) }
        let usual = KeeperProcess.lease / 3 + .milliseconds(15)
        let late = zip(writes, writes.dropFirst()).filter { $0.node == $1.node && $1.at > begin && $0.at < end }
        let keepers = late.reduce(0) { $0 + max(.zero, $1.1.at.duration(since: $1.0.at) - usual) / .seconds(1) }
        return own + keepers
    }

    /// Whether a node whose last event was then could be announced in time: the servers had no fault, and a keeper without
    /// one had the lease in time, or nothing kept it from taking it.
    private func couldAnnounce(_ last: Timestamp, _ stored: Timestamp) -> Bool {
        let end = last.adding(KeeperSchedule.interval * Self.promised)
        let begin = last.subtracting(.seconds(2.5))
        let server = log.troubles.contains { $0.begin < end && $0.end.adding(.seconds(1.5)) > last }
        if server { return false }
        func troubles(_ keeper: KeeperProcess) -> [KeeperProcess.Trouble] {
            keeper.troubles.filter { $0.begin < end && $0.end > begin }
        }
        let calm = keepers.filter { troubles($0).isEmpty }
        guard !calm.isEmpty else { return false }
        // The keeper that had the lease, and since when.
        let writes = log.leases.filter { $0.at < min(stored, end) }
        if let holder = writes.last?.node, calm.contains(where: { $0.name == holder }) {
            let first = writes.lastIndex { $0.node != holder }.map { $0 + 1 } ?? 0
            return writes[first].at < last.adding(.seconds(2.5))
        }
        // Nothing happened to the others after this, and they had no chance to take it.
        return keepers.flatMap { troubles($0) }.allSatisfy { $0.begin < last.adding(.seconds(1)) && $0.end > end }
    }

    /// A time since the beginning.
    private func time(_ time: Timestamp) -> String { seconds(time.duration(since: start)) }

    private func seconds(_ duration: Duration) -> String {
        "\(Double(Int(duration / .milliseconds(1))) / 1_000)"
    }

    // MARK: Report

    /// What happened, line by line: for people who look for the reason of a problem.
    func story(_ events: [StoredEvent]) -> String {
        var lines: [(at: Timestamp, text: String)] = []
        for stored in events {
            let event = stored.event
            let about = event.affectedNode == event.node ? event.node : "\(event.affectedNode) by \(event.node)"
            lines.append((stored.storedAt, "#\(stored.sequence) \(event.type) \(about), made \(time(event.timestamp))"))
        }
        for death in log.deaths {
            lines.append((death.begin, "\(death.node) died, until \(death.end.map { time($0) } ?? "–")"))
        }
        for trouble in log.troubles {
            lines.append((trouble.begin, "server \(trouble.fault), until \(time(trouble.end))"))
        }
        for keeper in keepers {
            for trouble in keeper.troubles {
                lines.append((trouble.begin, "\(keeper.name) \(trouble.fault), until \(time(trouble.end))"))
            }
        }
        for stall in log.stalls { lines.append((stall.end, "stall of \(seconds(stall.length))")) }
        var holder: String?? = .none
        for lease in log.leases where holder != .some(lease.node) {
            holder = .some(lease.node)
            lines.append((lease.at, "lease: \(lease.node ?? "free")"))
        }
        lines.sort { $0.at < $1.at }
        return lines.map { "    \(time($0.at)) \($0.text)" }.joined(separator: "\n")
    }
}
