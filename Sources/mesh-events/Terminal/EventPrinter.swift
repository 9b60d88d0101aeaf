import MeshEvents

/// Prints events on standard output: rows for people, or lines for programs.
struct EventPrinter {
    private var output: LineFile
    private let terminal: Terminal
    /// Writes lines for programs; `nil` for rows.
    private let text: EventText?
    private let marks: Bool
    private var rows: RowFormatter

    /// - Parameter marks: whether each event is shown with the result of its signature check.
    init(_ format: EventFormat, marks: Bool = false, stop: StopRequest? = nil, terminal: Terminal = .output) {
        self.marks = marks
        output = LineFile(LineOutput.standard(stop: stop))
        self.terminal = terminal
        text = format.lines.map { EventText($0, isForTerminal: terminal.isTerminal, marks: marks) }
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
