import MeshAlerts
import MeshEvents
import Testing

@testable import MeshNotifiers

struct DiscordTests {
    private let client = NotifierClient()

    private func request(_ notification: AlertNotification, query: String = "") throws -> TargetRequest {
        let configuration = try DiscordConfiguration(url: "https://discord.com/api/webhooks/1/secret\(query)")
        return DiscordNotifier(configuration: configuration, client: client).request(for: notification, now: .sample(0))
    }

    @Test func aMessageIsShortAndMentionsNobody() throws {
        let request = try request(.sample(), query: "?thread_id=7&wait=false")
        #expect(request.url == "https://discord.com/api/webhooks/1/secret?thread_id=7&wait=true")
        let json = try request.json().value
        #expect(
            json["content"]
                == #"""
                🚨 **tool\-down\: whisper on pi \(3 times\)**
                exit code 1
                since 2026\-11\-24T09\:04\:34Z, events 15, 16, 17
                <https://mesh.example/>
                """#
        )
        #expect(json["allowed_mentions"] == ["parse": []])
        #expect(json["flags"] == 4)
    }

    @Test(arguments: AlertNotification.hostile)
    func whatAStrangerWroteIsText(notification: AlertNotification) throws {
        let request = try request(notification)
        request.expectWellFormed(fields: [])
        let json = try request.json().value
        #expect(json["allowed_mentions"] == ["parse": []])
        let content = try #require(json["content"]?.string)
        #expect(content.utf16.count <= 2_000)
        #expect(content.isHarmless)
        let text = content.replacing(/\n<https:\/\/(mesh\.example|x)\/[^<>|\s]*>$/, with: "")
        #expect(String(Self.marks(in: text)) == "****")
    }

    /// The marks of Markdown that no backslash makes text.
    private static func marks(in text: String) -> [Character] {
        var found: [Character] = []
        var rest = text[...]
        while let character = rest.popFirst() {
            if character == "\\" {
                rest = rest.dropFirst()
            } else if #"*_~`|>#-+[]()<:@!"#.contains(character) {
                found.append(character)
            }
        }
        return found
    }

    @Test func theDelayIsReadFromTheBody() {
        func delay(_ text: String) -> Duration? { DiscordNotifier.delay(Array(text.utf8)) }
        #expect(
            delay(#"{"message": "You are being rate limited.", "retry_after": 0.25, "global": false}"#)
                == .milliseconds(250)
        )
        #expect(delay(#"{"retry_after": 1e300}"#) == .seconds(86_400))
        #expect(delay(#"{"retry_after": -1}"#) == .zero)
        #expect(delay(#"{"retry_after": "1"}"#) == nil)
        #expect(delay("<html>") == nil)
    }
}
