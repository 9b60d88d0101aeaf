import MeshAlerts
import MeshEvents
import Testing

@testable import MeshNotifiers

struct NtfyTests {
    private let client = NotifierClient()

    private func request(
        _ notification: AlertNotification,
        url: String = "https://ntfy.example/lab",
        token: String? = nil,
        priority: NtfyConfiguration.Priority? = nil
    ) throws -> TargetRequest {
        let configuration = try NtfyConfiguration(url: url, token: token, priority: priority)
        return NtfyNotifier(configuration: configuration, client: client).request(for: notification, now: .sample(0))
    }

    @Test func aMessageHasTitleTextTagsPriorityAndLink() throws {
        let request = try request(.sample(), token: "tk_secret")
        #expect(request.url == "https://ntfy.example/")
        #expect(request.contentType == "application/json")
        #expect(request.header("Authorization") == "Bearer tk_secret")
        let expected: EventData = [
            "topic": "lab", "title": "tool-down: whisper on pi (3 times)",
            "message": "exit code 1\nsince 2026-11-24T09:04:34Z, events 15, 16, 17", "priority": 5,
            "tags": ["rotating_light", "firing", "critical"], "sequence_id": "n-1", "click": "https://mesh.example/",
        ]
        #expect(try request.json() == expected)
    }

    @Test func thePriorityFollowsTheSeverityUnlessOneIsConfigured() throws {
        func priority(_ notification: AlertNotification, _ configured: NtfyConfiguration.Priority? = nil) throws -> Int?
        {
            try request(notification, priority: configured).json()["priority"]?.value.int
        }
        #expect(try priority(.sample(severity: .warning)) == 4)
        #expect(try priority(.sample(severity: .info)) == 3)
        #expect(try priority(.sample(status: .resolved)) == 3)
        #expect(try priority(.sample(severity: .info), .high) == 4)
        #expect(try priority(.sample(status: .resolved), .high) == 3)
        #expect(try priority(.sample(status: .resolved), .min) == 1)
        #expect(NtfyConfiguration.Priority("urgent") == .max)
        #expect(NtfyConfiguration.Priority("2") == .low)
        #expect(NtfyConfiguration.Priority("loud") == nil)
    }

    @Test func aLoginOfTheAddressIsBasicAndTheTopicMayBeBelowAPath() throws {
        let request = try request(.sample(page: nil), url: "http://me:p%40ss@localhost:8080/ntfy/my-topic_1/")
        #expect(request.url == "http://localhost:8080/ntfy/")
        #expect(request.header("Authorization") == "Basic bWU6cEBzcw==")
        #expect(try request.json()["topic"]?.value == "my-topic_1")
        #expect(try request.json()["click"] == nil)
    }

    @Test(arguments: AlertNotification.hostile)
    func whatAStrangerWroteIsText(notification: AlertNotification) throws {
        let request = try request(notification, token: "tk_secret")
        request.expectWellFormed(fields: ["Authorization"])
        // A server takes no more as JSON, and makes a file of a longer message.
        #expect(request.body.count <= 8_192)
        let json = try request.json()
        let message = try #require(json["message"]?.value.string)
        let title = try #require(json["title"]?.value.string)
        #expect(message.utf8.count <= 4_096)
        #expect(message.isHarmless && title.isHarmless && !title.contains("\n"))
        #expect(json["topic"]?.value == "lab")
        #expect(json["markdown"] == nil && json["actions"] == nil && json["attach"] == nil)
        let link = json["click"]?.value.string
        #expect(link == nil || link?.wholeMatch(of: /https:\/\/(mesh\.example|x)\/[!-~]*/) != nil)
    }
}
