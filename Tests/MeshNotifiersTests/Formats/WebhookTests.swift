import MeshAlerts
import MeshEvents
import MeshEventsInterop
import Testing

@testable import MeshNotifiers

struct WebhookTests {
    private let client = NotifierClient()

    private func request(_ notification: AlertNotification, secret: String? = nil) throws -> TargetRequest {
        let configuration = try WebhookConfiguration(url: "https://example.org/hook?a=1", secret: secret)
        return try WebhookNotifier(configuration: configuration, client: client)
            .request(for: notification, now: .sample(0))
    }

    @Test func theBodyIsACloudEventWithAllFields() throws {
        let request = try request(.sample())
        #expect(request.url == "https://example.org/hook?a=1")
        #expect(request.contentType == "application/cloudevents+json; charset=utf-8")
        #expect(request.headers.isEmpty)
        let event = try CloudEvent(json: request.text)
        #expect(event.id == "n-1")
        #expect(event.source == "/mesh/alerts")
        #expect(event.type == "mesh.alert.firing")
        #expect(event.time == .sample(0))
        let expected: EventData = [
            "id": "n-1", "status": "firing", "severity": "critical", "title": "tool-down: whisper on pi (3 times)",
            "body": "exit code 1\nsince 2026-11-24T09:04:34Z, events 15, 16, 17", "page": "https://mesh.example/",
            "test": false, "omitted": 0,
            "alerts": [
                [
                    "id": "a-1", "rule": "tool-down", "group": ["tool": "whisper", "node": "pi"], "status": "firing",
                    "severity": "critical", "since": "2026-11-24T09:04:34Z", "at": "2026-11-24T09:04:34Z", "count": 3,
                    "sequences": [15, 16, 17], "reason": "exit code 1", "repetition": 0,
                ]
            ],
        ]
        #expect(event.data == expected)
        let over = try CloudEvent(json: self.request(.sample(status: .resolved, page: nil)).text)
        #expect(over.type == "mesh.alert.resolved")
        #expect(over.data["page"]?.value == .null)
    }

    @Test func aSecretSignsIdTimeAndBody() throws {
        let request = try request(.sample(), secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        #expect(request.header("webhook-id") == "n-1")
        #expect(request.header("webhook-timestamp") == "1795511074")
        let signature = try #require(request.header("webhook-signature"))
        #expect(signature.wholeMatch(of: /v1,[A-Za-z0-9+\/]{43}=/) != nil)
        // Another secret, another time and another body make another signature.
        let other = try self.request(.sample(), secret: "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        #expect(other.header("webhook-signature") != signature)
        #expect(
            try self.request(.sample(reason: "x"), secret: "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").header(
                "webhook-signature"
            )
                != other.header("webhook-signature")
        )
    }

    @Test func nothingOfAnIdEndsAHeader() throws {
        var notification = AlertNotification.sample()
        notification.id = "a\r\nX: 1.2\u{0}é-b"
        let request = try request(notification, secret: "s")
        request.expectWellFormed(fields: ["webhook-id", "webhook-timestamp", "webhook-signature"])
        #expect(request.header("webhook-id") == "aX12-b")
    }

    @Test(arguments: AlertNotification.hostile)
    func whatAStrangerWroteIsText(notification: AlertNotification) throws {
        let request = try request(notification, secret: "s")
        request.expectWellFormed(fields: ["webhook-id", "webhook-timestamp", "webhook-signature"])
        let event = try CloudEvent(json: request.text)
        #expect(event.type == "mesh.alert.firing")
        #expect(request.body.count < 40_000)
        #expect(event.data["alerts"]?.value[0]?["reason"]?.string == notification.alerts[0].reason.cut(to: 500))
    }

    @Test func aLongListIsCutAndSaysHowManyAreMissing() throws {
        var notification = AlertNotification.sample()
        notification.alerts = Array(repeating: notification.alerts[0], count: 1_000)
        notification.omitted = 5
        let data = try CloudEvent(json: request(notification).text).data
        #expect(data["alerts"]?.value.array?.count == 200)
        #expect(data["omitted"]?.value == 805)
    }
}
