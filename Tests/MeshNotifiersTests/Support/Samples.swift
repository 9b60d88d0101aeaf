import MeshAlerts
import MeshEvents
import Testing

@testable import MeshNotifiers

extension AlertNotification {
    /// A notification about a tool that crashed.
    static func sample(
        rule: String = "tool-down",
        tool: String = "whisper",
        status: Alert.Status = .firing,
        severity: AlertSeverity = .critical,
        reason: String = "exit code 1",
        page: String? = "https://mesh.example/",
        isTest: Bool = false
    ) -> AlertNotification {
        AlertNotification(
            id: "n-1",
            alerts: [
                Alert(
                    id: "a-1",
                    rule: rule,
                    group: AlertGroup([.init("tool", tool), .init("node", "pi")]),
                    status: status,
                    severity: severity,
                    since: .sample(0),
                    at: .sample(status == .firing ? 0 : 90),
                    count: 3,
                    sequences: [15, 16, 17],
                    reason: reason
                )
            ],
            isTest: isTest,
            page: page
        )
    }

    /// Notifications in which a stranger wrote the reason and the name of the tool.
    static var hostile: [AlertNotification] {
        Hostile.texts.flatMap { text in
            [
                sample(reason: text), sample(tool: text),
                sample(rule: text, tool: text, reason: text, page: "https://x/\(text)"),
            ]
        }
    }
}

extension Timestamp {
    /// 2026-11-24T09:04:34Z, and so many seconds.
    static func sample(_ seconds: Int) -> Timestamp {
        Timestamp(nanosecondsSinceEpoch: 1_795_511_074_000_000_000).adding(.seconds(seconds))
    }
}

/// What a stranger may write in an event.
enum Hostile {
    static let texts = [
        "\"quotes\" \\ and\nnewlines\r\nX-Injected: 1\r\n\r\n{}",
        "<!channel> <!everyone> <@U123> <https://evil.example|click>",
        "@everyone @here @channel <@&123> <@!5>",
        "](http://evil.example) [x](http://evil.example) **b** `c` ```d``` # e\n# f\n> g",
        "\u{1B}[31mred\u{1B}]0;title\u{7}\u{9B}2J", "\u{202E}evil\u{202C} \u{2066}x\u{2069} \u{FEFF}\u{2028}\u{85}",
        String(repeating: "é@<&\"\\`😀*", count: 10_000), "\0nul\u{FFFF}", "{title} {{body}} ${HOME} $(reboot) `reboot`",
        "--option=@/etc/passwd", "@/etc/passwd", "",
    ]
}

extension TargetRequest {
    /// The body, as an object of JSON.
    func json() throws -> EventData { try EventData(json: body) }

    /// The text of the body.
    var text: String { String(decoding: body, as: UTF8.self) }

    /// Says when a header field, the address or the body of the request is broken.
    func expectWellFormed(fields: [String], sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(headers.map(\.name) == fields, sourceLocation: sourceLocation)
        for (name, value) in headers {
            #expect(
                value.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F },
                "\(name): \(value.debugDescription)",
                sourceLocation: sourceLocation
            )
        }
        #expect(url.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }, sourceLocation: sourceLocation)
        #expect(String(validating: body, as: UTF8.self) != nil, sourceLocation: sourceLocation)
        #expect(body.allSatisfy { $0 >= 0x20 }, "control characters in the JSON", sourceLocation: sourceLocation)
    }
}

extension String {
    /// Whether a terminal, a phone or a chat could take something in it for other than text.
    var isHarmless: Bool {
        unicodeScalars.allSatisfy { scalar in
            if scalar == "\n" { return true }
            switch scalar.value {
            case 0x00...0x1F, 0x7F...0x9F, 0x061C, 0x200E...0x200F, 0x2028...0x202E, 0x2066...0x2069, 0xFEFF:
                return false
            default: return true
            }
        }
    }
}
