import MeshAlerts

/// An argument of a command, with places for the fields of a notification.
struct CommandTemplate: Sendable, Hashable, CustomReflectable {
    /// A field that an argument can hold.
    enum Field: String, Sendable, CaseIterable {
        case title, body, severity, status, rule, group, reason, link, id

        /// The text of the field; of the first alert where each alert has its own.
        func text(_ notification: AlertNotification) -> String {
            let first = notification.alerts.first
            switch self {
            case .title: return notification.safeTitle
            case .body: return notification.safeBody
            case .severity: return notification.severity.rawValue
            case .status: return AlertJSON.status(notification).rawValue
            case .rule: return (first?.rule ?? "").oneLine.shortened
            case .group: return (first?.group.description ?? "").oneLine.cut(to: 500)
            case .reason: return (first?.reason ?? "").oneLine.cut(to: 500)
            case .link: return notification.link ?? ""
            case .id: return notification.id.oneLine
            }
        }
    }

    private enum Part: Sendable, Hashable {
        case text(String)
        case field(Field)
    }

    private var parts: [Part] = []

    /// Reads an argument: `{title}` is a field, `{{` a brace.
    ///
    /// - Throws: when there is no field of a name.
    init(_ text: String) throws(NotifierConfigurationError) {
        var plain = ""
        var rest = text[...]
        while let brace = rest.firstIndex(of: "{") {
            plain += rest[..<brace]
            rest = rest[rest.index(after: brace)...]
            if rest.first == "{" {
                plain += "{"
                rest = rest.dropFirst()
            } else if let end = rest.firstIndex(of: "}"), end > rest.startIndex,
                rest[..<end].utf8.allSatisfy({ (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) })
            {
                guard let field = Field(rawValue: String(rest[..<end])) else {
                    let known = Field.allCases.map { "{\($0.rawValue)}" }.joined(separator: ", ")
                    throw NotifierConfigurationError(
                        "a command has no field {\(rest[..<end])}: there are \(known); {{ stands for a brace"
                    )
                }
                if !plain.isEmpty { parts.append(.text(plain)) }
                plain = ""
                parts.append(.field(field))
                rest = rest[rest.index(after: end)...]
            } else {
                plain += "{"
            }
        }
        plain += rest
        if !plain.isEmpty { parts.append(.text(plain)) }
    }

    /// Nothing of it: an argument can hold a secret.
    var customMirror: Mirror { Mirror(self, children: []) }

    /// Whether no field is in it.
    var isConstant: Bool {
        parts.allSatisfy { part in
            if case .text = part { true } else { false }
        }
    }

    /// The argument for a notification.
    ///
    /// An argument that begins with the text of a field is given a space before `-`, `+` and `@`: programs take `-` for an
    /// option, and some take `@` for the name of a file to read.
    func filled(_ notification: AlertNotification) -> String {
        var result = ""
        for part in parts {
            switch part {
            case .text(let text): result += text
            case .field(let field): result += field.text(notification)
            }
        }
        if case .text = parts.first { return result }
        return "-+@".contains(result.first ?? " ") ? " \(result)" : result
    }
}
