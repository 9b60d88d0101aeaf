import MeshEvents

/// Prints events on standard output: rows for people, or lines of JSON.
struct EventPrinter {
    private let output: LineOutput
    private let terminal: Terminal
    private let json: EventJSON?
    private var rows: RowFormatter

    init(_ options: OutputOptions, stop: StopRequest? = nil, terminal: Terminal = .output) {
        output = LineOutput.standard(stop: stop)
        self.terminal = terminal
        json = options.json ? EventJSON(isForTerminal: terminal.isTerminal) : nil
        rows = RowFormatter(isColored: terminal.usesColor())
    }

    /// Prints one event.
    ///
    /// - Throws: `OutputClosed` when nobody reads any more.
    mutating func print(_ event: Event) throws {
        try output.write(json?.line(event) ?? rows.row(event, width: terminal.width))
    }

    /// Prints one event of the stream.
    ///
    /// - Throws: `OutputClosed` when nobody reads any more.
    mutating func print(_ stored: StoredEvent) throws {
        try output.write(json?.line(stored) ?? rows.row(stored.event, width: terminal.width))
    }

    /// Prints events read from the stream, all rows lined up.
    mutating func print(_ events: [StoredEvent]) throws {
        let width = terminal.width
        for stored in events { rows.makeRoom(for: stored.event, width: width) }
        for stored in events {
            try output.write(json?.line(stored) ?? rows.row(stored.event, width: width))
        }
    }
}
