import MeshEvents

@testable import MeshAlerts

/// A stream in a test: events with ascending sequences, at times given in seconds.
struct Mesh {
    static let start = Timestamp(nanosecondsSinceEpoch: 1_767_225_600_000_000_000)

    /// Events have whole thousands, the reports between them the numbers behind: so both readers of the same events have the
    /// same sequences.
    static let step: UInt64 = 1_000
    private(set) var sequence: UInt64 = 0
    private(set) var events: [StoredEvent] = []

    /// A moment so many seconds after the start.
    static func at(_ seconds: Double) -> Timestamp { start.adding(.seconds(seconds)) }

    /// Stores an event.
    @discardableResult
    mutating func store(_ event: Event, _ seconds: Double) -> StoredEvent {
        sequence = (sequence / Self.step + 1) * Self.step
        return add(event, Self.at(seconds))
    }

    /// Stores a report.
    mutating func report(_ event: Event, _ time: Timestamp) -> StoredEvent {
        sequence += 1
        return add(event, time)
    }

    private mutating func add(_ event: Event, _ time: Timestamp) -> StoredEvent {
        var event = event
        if event.node.isEmpty { event.node = "pi" }
        event.timestamp = time
        let stored = StoredEvent(event: event, sequence: sequence, storedAt: time)
        events.append(stored)
        return stored
    }

    mutating func crash(_ tool: String, _ seconds: Double, node: String = "pi") -> StoredEvent {
        store(.toolCrashed(node: node, tool: tool, error: "exit status 1", restartCount: 1), seconds)
    }

    mutating func started(_ tool: String, _ seconds: Double, node: String = "pi") -> StoredEvent {
        store(.toolStarted(node: node, tool: tool), seconds)
    }

    mutating func user(_ type: EventType, _ seconds: Double, _ data: EventData = nil) -> StoredEvent {
        store(Event(type, data: data), seconds)
    }
}

/// A book whose reports are stored at once.
struct Desk {
    var book = AlertBook()
    var mesh = Mesh()
    private(set) var lines: [String] = []
    private(set) var alerts: [Alert] = []

    init(_ rules: AlertRule...) { book.use(rules, now: Mesh.start) }

    init(rules: [AlertRule]) { book.use(rules, now: Mesh.start) }

    mutating func take(_ stored: StoredEvent) {
        pass(to: stored.storedAt.duration(since: Mesh.start) / .seconds(1))
        book.take(stored)
        drain(stored.storedAt)
    }

    mutating func pass(to seconds: Double) {
        while let due = book.nextDeadline, due <= Mesh.at(seconds) {
            book.advance(to: due)
            drain(due)
            if let next = book.nextDeadline, next <= due { break }
        }
        book.advance(to: Mesh.at(seconds))
        drain(Mesh.at(seconds))
    }

    mutating func crash(_ seconds: Double, node: String = "pi") { crash("whisper", seconds, node: node) }

    mutating func started(_ seconds: Double, node: String = "pi") { started("whisper", seconds, node: node) }

    mutating func crash(_ tool: String, _ seconds: Double, node: String = "pi") {
        take(mesh.crash(tool, seconds, node: node))
    }

    mutating func started(_ tool: String, _ seconds: Double, node: String = "pi") {
        take(mesh.started(tool, seconds, node: node))
    }

    mutating func user(_ type: EventType, _ seconds: Double, _ data: EventData = nil) {
        take(mesh.user(type, seconds, data))
    }

    /// Stores the reports, as a runner does: they come back as events.
    mutating func drain(_ time: Timestamp) {
        while let (key, report) = book.reports(1).first {
            book.stored(key, report.alert.identity, at: time)
            let alert = report.alert
            alerts.append(alert)
            let what =
                alert.status == .resolved
                ? (report.isExpired ? "expired" : "over") : alert.repetition > 0 ? "again" : "fires"
            let second = alert.at.duration(since: Mesh.start) / .seconds(1)
            let about = alert.group.labels.isEmpty ? "" : " \(alert.group)"
            lines.append(
                "\(Int(second)): \(what) \(alert.rule)\(about) \(alert.count)\(report.isSilenced ? " (silenced)" : "")"
            )
            if let event = try? report.event { book.take(mesh.report(event, time)) }
        }
    }
}
