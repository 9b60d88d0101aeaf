import MeshEvents
import MeshLogging

extension AlertNotification {
    /// One line that says what happened: `tool-down: whisper on pi (3 times), and 11 more`. At most 200 characters; plain
    /// text, with names of other programs in it.
    public var title: String {
        guard let first = alerts.first else { return "" }
        var title = first.headline
        let others = alerts.count - 1 + omitted
        if others > 0 { title += ", and \(others) more" }
        if isTest { title = "test: \(title)" }
        return title.cut(to: Self.longestTitle)
    }

    /// What is known of each alert, a paragraph each, without the title's words where there is only one: the reason, since
    /// when, and which events. At most 3 000 characters; plain text, with texts of other programs in it.
    public var body: String {
        let isSingle = alerts.count == 1 && omitted == 0
        var body = ""
        var left = omitted
        for (number, alert) in alerts.enumerated() {
            let lines = (isSingle ? [] : [alert.headline]) + alert.details
            let paragraph = (number == 0 ? "" : "\n\n") + lines.joined(separator: "\n")
            guard number == 0 || body.count + paragraph.count <= Self.longestBody else {
                left += alerts.count - number
                break
            }
            body += paragraph.cut(to: Self.longestBody)
        }
        return left > 0 ? "\(body)\n\n… and \(left) more" : body
    }

    private static let longestTitle = 200
    private static let longestBody = 2_900
}

extension Alert {
    /// `tool-down: whisper on pi (3 times)`.
    fileprivate var headline: String {
        let about = group.labels.isEmpty ? rule : "\(rule): \(group)"
        switch status {
        case .resolved: return "over: \(about)"
        case .firing: return (repetition > 0 ? "still " : "") + about + (count > 1 ? " (\(count) times)" : "")
        }
    }

    fileprivate var details: [String] {
        var lines = reason.isEmpty ? [] : [reason]
        let period =
            status == .resolved
            ? "from \(since.seconds) to \(at.seconds)"
            : "since \(since.seconds)"
        let events = sequences.map(String.init).joined(separator: ", ")
        lines.append(events.isEmpty ? period : "\(period), \(sequences.count == 1 ? "event" : "events") \(events)")
        return lines
    }
}

extension Timestamp {
    /// RFC 3339 without a fraction, in UTC.
    fileprivate var seconds: String {
        let text = description
        guard let point = text.firstIndex(of: ".") else { return text }
        return text[..<point] + "Z"
    }
}

extension String {
    /// The text without control characters, cut to so many characters.
    func clean(to count: Int) -> String {
        // A long text is cut before it is looked at, and what an escape adds is cut afterwards.
        cut(to: count).harmless.cut(to: count)
    }

    /// The text, cut to so many characters; a cut text ends with `…`.
    package func cut(to count: Int) -> String {
        // A single character can be of any length, so that scalars are counted.
        guard unicodeScalars.count > count else { return self }
        var cut = String(unicodeScalars.prefix(count - 1))
        cut.append("…")
        return cut
    }
}
