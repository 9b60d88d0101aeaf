import MeshEvents

/// Writes dead letters for people and for programs.
enum DeadLetterFormatter {
    /// The longest reason in a row where no terminal gives a width, in columns.
    private static let longestReason = 200

    /// The dead letters in rows.
    static func table(_ letters: [DeadLetter], now: Timestamp = .now) -> TextTable {
        var table = TextTable(["LETTER", "STORED", "EVENT", "TYPE", "STATUS", "REASON"], shrinking: [3, 4])
        for letter in letters {
            table.add([
                .init("\(letter.sequence)"),
                .init(AgeFormatter.text(letter.storedAt, now: now), .dim),
                .init("\(letter.original.sequence)"),
                .init(SafeText.name(letter.original.type), Style(ofType: letter.original.type)),
                .init(status(letter.status, now: now), style(letter.status)),
                .init(SafeText.escaped(letter.reason, columns: longestReason)),
            ])
        }
        return table
    }

    /// One dead letter in full.
    static func facts(_ letter: DeadLetter, isKept: Bool, now: Timestamp = .now, time: LocalTime = LocalTime())
        -> FactTable
    {
        func moment(_ stamp: Timestamp) -> String { "\(time.text(stamp)) (\(AgeFormatter.text(stamp, now: now)))" }
        let original = letter.original
        var facts = FactTable()
        facts.add("Dead letter", "\(letter.sequence) of \(letter.durable)")
        facts.add("Stored", moment(letter.storedAt))
        facts.add("Given up by", SafeText.name(letter.node), .cyan)
        facts.add("Reason", letter.reason, .red)
        facts.add("Deliveries", letter.deliveries > 0 ? "\(letter.deliveries)" : nil)
        facts.add("Retry of", letter.retryOf.map { "dead letter \($0)" })
        facts.add("Status", status(letter.status, now: now), style(letter.status))
        if case .open(let problem?) = letter.status { facts.add("Last retry", problem, .yellow) }
        if case .discarded(_, _, let reason) = letter.status { facts.add("Because", reason) }
        facts.add(
            "Original",
            isKept
                ? "event \(original.sequence), still kept"
                : "event \(original.sequence), gone from the stream and its archive, or another one than this: it cannot be "
                    + "retried",
            isKept ? .plain : .yellow
        )
        facts.add("Type", SafeText.name(original.type), Style(ofType: original.type))
        facts.add("Node", original.node.map(SafeText.name), .cyan)
        facts.add("Happened", original.timestamp.map(moment))
        facts.add("Data", original.data?.json)
        facts.add("Data", original.dataOmitted.map { "left out: \($0)" })
        facts.add("No event", original.payload)
        return facts
    }

    /// Prints what a command has changed about a dead letter, or how it was already.
    ///
    /// - Parameter text: the sentence when it was changed.
    static func write(_ change: DeadLetter.Change, json: Bool, _ text: () -> String) throws {
        let output = LineOutput.standard()
        guard !json else {
            return try output.write(Terminal.output.safe(json: Self.json(change.letter, isNew: change.isNew)))
        }
        guard !change.isNew else { return try output.write(text()) }
        let letter = change.letter
        try output.write("dead letter \(letter.sequence) stays as it was: \(status(letter.status, now: .now))")
    }

    /// What was done about it, in a few words.
    static func status(_ status: DeadLetter.Status, now: Timestamp) -> String {
        func age(_ time: Timestamp) -> String { AgeFormatter.text(time, now: now) }
        switch status {
        case .open(nil): return "open"
        case .open(.some): return "open, a retry was not possible"
        case .retrying(let since, let node, let deliveries):
            let count = deliveries == 0 ? "" : ", delivered \(deliveries == 1 ? "once" : "\(deliveries) times")"
            return "retry asked for \(age(since)) by \(SafeText.name(node))\(count)"
        case .handled(let time, let node): return "handled \(age(time)) by \(SafeText.name(node))"
        case .failedAgain(let time, let letter):
            return letter.map { "failed again \(age(time)): dead letter \($0)" } ?? "failed again \(age(time))"
        case .discarded(let time, let node, _): return "discarded \(age(time)) by \(SafeText.name(node))"
        }
    }

    private static func style(_ status: DeadLetter.Status) -> Style {
        switch status {
        case .open: .yellow
        case .retrying: .cyan
        case .handled: .green
        case .failedAgain, .discarded: .dim
        }
    }

    /// The dead letter as a line of JSON.
    static func json(_ letter: DeadLetter, isKept: Bool? = nil, isNew: Bool? = nil) -> String {
        func text(_ value: String?) -> JSONValue { value.map { .string($0) } ?? .null }
        func number(_ value: UInt64?) -> JSONValue { value.map { JSONValue($0) } ?? .null }
        let original = letter.original
        var members: [(String, JSONValue)] = [
            ("durable", .string(letter.durable)), ("sequence", JSONValue(letter.sequence)),
            ("stored", .string(letter.storedAt.description)), ("node", .string(letter.node)),
            ("reason", .string(letter.reason)), ("deliveries", JSONValue(letter.deliveries)),
            ("retry_of", number(letter.retryOf)),
        ]
        let about: [(String, JSONValue)] = [
            ("sequence", JSONValue(original.sequence)), ("type", .string(original.type)), ("node", text(original.node)),
            ("timestamp", text(original.timestamp?.description)),
            ("data_omitted", text(original.dataOmitted)), ("payload", text(original.payload)),
        ]
        // Joined as texts, so that data may be nested as deeply as in the event itself.
        let data = original.data?.json ?? "null"
        let originalText = EventData(JSONObject(about)).json.dropLast() + ",\"data\":\(data)}"
        members += statusMembers(letter.status)
        if let isKept { members.append(("is_kept", .bool(isKept))) }
        if let isNew { members.append(("is_new", .bool(isNew))) }
        return EventData(JSONObject(members)).json.dropLast() + ",\"original\":\(originalText)}"
    }

    private static func statusMembers(_ status: DeadLetter.Status) -> [(String, JSONValue)] {
        func members(
            _ name: String,
            _ time: Timestamp? = nil,
            node: String? = nil,
            reason: String? = nil,
            deliveries: Int? = nil,
            letter: UInt64? = nil
        ) -> [(String, JSONValue)] {
            [
                ("status", .string(name)), ("status_time", time.map { .string($0.description) } ?? .null),
                ("status_node", node.map { .string($0) } ?? .null),
                ("status_reason", reason.map { .string($0) } ?? .null),
                ("status_deliveries", deliveries.map { JSONValue($0) } ?? .null),
                ("status_letter", letter.map { JSONValue($0) } ?? .null),
            ]
        }
        switch status {
        case .open(let problem): return members("open", reason: problem)
        case .retrying(let since, let node, let deliveries):
            return members("retrying", since, node: node, deliveries: deliveries)
        case .handled(let time, let node): return members("handled", time, node: node)
        case .failedAgain(let time, let letter): return members("failed_again", time, letter: letter)
        case .discarded(let time, let node, let reason):
            return members("discarded", time, node: node, reason: reason)
        }
    }
}
