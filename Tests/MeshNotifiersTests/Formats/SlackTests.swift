import MeshAlerts
import MeshEvents
import Testing

@testable import MeshNotifiers

struct SlackTests {
    private let client = NotifierClient()

    private func request(_ notification: AlertNotification) throws -> TargetRequest {
        let configuration = try SlackConfiguration(url: "https://hooks.slack.com/services/T0/B0/secret")
        return SlackNotifier(configuration: configuration, client: client).request(for: notification, now: .sample(0))
    }

    @Test func aMessageHasBlocksOfPlainTextAndALinkApart() throws {
        let request = try request(.sample())
        #expect(request.url == "https://hooks.slack.com/services/T0/B0/secret")
        let json = try request.json().value
        #expect(json["blocks"]?[0]?["text"]?["text"] == "🚨 tool-down: whisper on pi (3 times)")
        #expect(
            json["blocks"]?[1]?["text"]?["text"] == "exit code 1\nsince 2026-11-24T09:04:34Z, events 15, 16, 17"
        )
        #expect(json["blocks"]?[2]?["text"]?["text"] == "<https://mesh.example/|Open the mesh's page>")
        #expect(
            json["text"]
                == """
                ```
                tool-down: whisper on pi (3 times)
                exit code 1
                since 2026-11-24T09:04:34Z, events 15, 16, 17
                ```
                <https://mesh.example/|Open the mesh's page>
                """
        )
        #expect(try self.request(.sample(status: .resolved)).text.contains("✅ over: tool-down"))
    }

    @Test(arguments: AlertNotification.hostile)
    func whatAStrangerWroteIsText(notification: AlertNotification) throws {
        let request = try request(notification)
        request.expectWellFormed(fields: [])
        let json = try request.json().value
        for block in try #require(json["blocks"]?.array) {
            let text = try #require(block["text"]?["text"]?.string)
            #expect(text.isHarmless)
            if block["text"]?["type"] == "plain_text" {
                #expect((1...(block["type"] == "header" ? 150 : 3_000)).contains(text.utf16.count))
                #expect(block["text"]?["emoji"] == false)
            } else {
                #expect(text.wholeMatch(of: /<https:\/\/(mesh\.example|x)\/[^<>|\s]*\|Open the mesh's page>/) != nil)
            }
        }
        let text = try #require(json["text"]?.string)
        #expect(text.isHarmless)
        let parts = text.split(separator: "```", omittingEmptySubsequences: false)
        try #require(parts.count == 3)
        #expect(parts[0].isEmpty)
        #expect(!parts[1].contains(/[<>]/))
        #expect(!parts[1].contains(/@[^\u{200B}]/))
        #expect(
            parts[2].isEmpty
                || parts[2].wholeMatch(of: /\n<https:\/\/(mesh\.example|x)\/[^<>|\s]*\|Open the mesh's page>/) != nil
        )
        #expect(json["link_names"] == false)
    }
}
