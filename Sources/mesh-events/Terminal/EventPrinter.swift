import MeshEvents
import MeshEventsInterop

/// Prints events on standard output: rows for people, or lines for programs.
struct EventPrinter {
    private var output: LineFile
    private let terminal: Terminal
    /// Writes lines for programs; `nil` for rows.
    private let text: EventLineFormatter?
    private let marks: Bool
    private var rows: RowFormatter

    /// - Parameter marks: whether each event is shown with the result of its signature check.
    init(_ format: EventFormat, marks: Bool = false, stop: StopRequest? = nil, terminal: Terminal = .output) {
        self.marks = marks
        output = LineFile(LineOutput.standard(stop: stop))
        self.terminal = terminal
        text = format.lines.map { EventLineFormatter($0, isForTerminal: terminal.isTerminal, marks: marks) }
        rows = RowFormatter(isColored: terminal.usesColor())
    }

    /// Prints one event.
    ///
    /// - Parameter moreFollow: whether another event follows at once: then both lines may be written together.
    /// - Throws: `OutputClosed` when standard output has no reader any more.
    mutating func print(_ event: Event, moreFollow: Bool = false) throws {
        try output.write(text?.line(event) ?? row(event, width: terminal.width))
        if !moreFollow { try output.flush() }
    }

    /// Writes the lines that wait.
    ///
    /// - Throws: `OutputClosed` when standard output has no reader any more.
    mutating func flush() throws { try output.flush() }

    /// Prints one event of the stream.
    ///
    /// - Throws: `OutputClosed` when standard output has no reader any more.
    mutating func print(_ stored: StoredEvent) throws {
        try output.write(text?.line(stored) ?? row(stored.event, width: terminal.width))
        try output.flush()
    }

    /// Prints events read from the stream, all rows lined up.
    mutating func print(_ events: [StoredEvent]) throws {
        let width = terminal.width
        for stored in events { rows.makeRoom(for: stored.event, width: width) }
        for stored in events {
            try output.write(text?.line(stored) ?? row(stored.event, width: width))
        }
        try output.flush()
    }

    private mutating func row(_ event: Event, width: Int?) -> String {
        guard marks else { return rows.row(event, width: width) }
        let mark = TextWidth.padded(SignatureMark.word(event.signature), to: SignatureMark.width) + "  "
        guard let width else { return mark + rows.row(event) }
        return mark + rows.row(event, width: max(1, width - SignatureMark.width - 2))
    }
}

/// Prints the events of a subscription as they arrive: in a burst many with one write, else each at once.
struct LiveEvents {
    /// How many events may wait to be printed. A burst of half a million events is printed whole, as by the command
    /// line of the Go mesh, whose subscriptions hold 524 288 messages or 64 MiB.
    static let buffer = EventSubscription.Buffer(maximumEvents: 1 << 20, maximumBytes: 128 << 20)

    private let subscription: EventSubscription
    private var drops = DropReport()

    init(_ subscription: EventSubscription) {
        self.subscription = subscription
    }

    /// Prints until the subscription ends or `limit` events have been printed.
    ///
    /// - Parameter isShown: whether an event is printed.
    /// - Throws: `OutputClosed` when standard output has no reader any more, and what the subscription throws.
    mutating func print(
        with printer: inout EventPrinter,
        limit: Int? = nil,
        where isShown: (Event) -> Bool = { _ in true }
    ) async throws {
        defer { drops.finish(subscription.dropped) }
        var events = subscription.makeAsyncIterator()
        var count = 0
        while let event = try await events.next() {
            let moreFollow = events.hasNext
            if isShown(event) {
                count += 1
                try printer.print(event, moreFollow: moreFollow && count != limit)
                if count == limit { return }
            } else if !moreFollow {
                try printer.flush()
            }
            if !moreFollow { drops.look(subscription.dropped) }
        }
        try printer.flush()
    }
}

/// Reports dropped events on standard error: at most one line per second while it happens, and the total at the end.
struct DropReport {
    private var said: UInt64 = 0
    private var limit = RepeatLimit(1, each: .seconds(1))
    private let say: (String) -> Void

    init(say: @escaping (String) -> Void = { Diagnostics.say($0) }) {
        self.say = say
    }

    /// Reports dropped events, unless the last report was less than a second ago.
    ///
    /// - Parameter dropped: how many events were dropped in all.
    mutating func look(_ dropped: UInt64, now: ContinuousClock.Instant = .now) {
        guard dropped > said, case .say = limit.decide(at: now) else { return }
        report(dropped)
    }

    /// Reports the drops that have not been reported.
    mutating func finish(_ dropped: UInt64) {
        if dropped > said { report(dropped) }
    }

    private mutating func report(_ dropped: UInt64) {
        let events = dropped == 1 ? "1 event was" : "\(dropped) events were"
        let soFar = said == 0 ? "" : " so far"
        said = dropped
        say("\(events) not shown\(soFar): they arrive faster than they can be printed")
    }
}

/// Writes events as lines for programs.
enum EventLineFormatter {
    case wire(EventJSON)
    case cloudEvents(CloudEventLineFormatter)

    /// - Parameter marks: whether each line has the result of the event's signature check.
    init(_ format: LineFormat, isForTerminal: Bool, marks: Bool = false) {
        switch format {
        case .json: self = .wire(EventJSON(isForTerminal: isForTerminal, marks: marks))
        case .cloudevents: self = .cloudEvents(CloudEventLineFormatter(isForTerminal: isForTerminal, marks: marks))
        }
    }

    /// One event.
    func line(_ event: Event) throws -> String {
        switch self {
        case .wire(let json): try json.line(event)
        case .cloudEvents(let text): try text.line(event)
        }
    }

    /// One event of the stream.
    func line(_ stored: StoredEvent) throws -> String {
        switch self {
        case .wire(let json): try json.line(stored)
        case .cloudEvents(let text): try text.line(stored)
        }
    }
}

/// Writes events as lines of JSON in the wire format, for programs.
struct EventJSON {
    /// Whether scalars that could harm a terminal are written as escapes; the value stays the same.
    let isForTerminal: Bool
    /// Whether lines have the member `signature`, the result of the check: `signed`, `unsigned` or `forged`.
    let marks: Bool
    private let encoder = EventEncoder()

    init(isForTerminal: Bool = false, marks: Bool = false) {
        self.isForTerminal = isForTerminal
        self.marks = marks
    }

    /// The exact wire format; with ``marks`` followed by the member `signature`.
    func line(_ event: Event) throws -> String {
        var text = String(decoding: try encoder.encode(event), as: UTF8.self)
        if marks { text = text.dropLast() + #","signature":"\#(SignatureMark.word(event.signature))"}"# }
        return isForTerminal ? SafeText.escaped(text) : text
    }

    /// The wire format, followed by the members `sequence` and `stored`.
    func line(_ stored: StoredEvent) throws -> String {
        let event = try line(stored.event)
        return event.dropLast() + #","sequence":\#(stored.sequence),"stored":"\#(stored.storedAt)"}"#
    }
}

/// Writes events as lines of CloudEvents 1.0, structured mode.
struct CloudEventLineFormatter {
    /// Whether scalars that could harm a terminal are written as escapes; the value stays the same.
    var isForTerminal = false
    /// Whether lines have the attribute `signature`, the result of the check: `signed`, `unsigned` or `forged`.
    var marks = false

    /// One event.
    func line(_ event: Event) throws -> String { try line(CloudEvent(event), event.signature) }

    /// One event of the stream.
    func line(_ stored: StoredEvent) throws -> String { try line(CloudEvent(stored), stored.event.signature) }

    private func line(_ cloudEvent: CloudEvent, _ signature: EventSignature) throws -> String {
        var cloudEvent = cloudEvent
        if marks {
            let mark = ("signature", JSONValue.string(SignatureMark.word(signature)))
            cloudEvent.extensions = JSONObject(cloudEvent.extensions.map { ($0.key, $0.value) } + [mark])
        }
        let text = try cloudEvent.json()
        return isForTerminal ? SafeText.escaped(text) : text
    }
}

/// The word for the result of a signature check.
enum SignatureMark {
    /// The width of the column.
    static let width = 8

    static func word(_ signature: EventSignature) -> String {
        switch signature {
        case .unchecked: ""
        case .unsigned: "unsigned"
        case .signed: "signed"
        case .forged: "forged"
        }
    }
}
