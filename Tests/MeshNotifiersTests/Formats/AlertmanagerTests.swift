import MeshAlerts
import MeshEvents
import Testing

@testable import MeshNotifiers

struct AlertmanagerTests {
    private let client = NotifierClient()

    private func request(_ notification: AlertNotification, url: String = "http://127.0.0.1:9093") throws
        -> TargetRequest
    {
        let configuration = try AlertmanagerConfiguration(url: url, expiry: .seconds(3_600))
        return AlertmanagerNotifier(configuration: configuration, client: client)
            .request(for: notification, now: .sample(10))
    }

    private func alerts(_ notification: AlertNotification) throws -> JSONValue {
        try EventData(json: #"{"alerts":\#(request(notification).text)}"#).value["alerts"] ?? nil
    }

    @Test func aFiringAlertEndsAtItsExpiryAndAResolvedOneAtItsEnd() throws {
        #expect(try request(.sample()).url == "http://127.0.0.1:9093/api/v2/alerts")
        #expect(try request(.sample(), url: "http://x/am/").url == "http://x/am/api/v2/alerts")
        let expected: JSONValue = [
            [
                "labels": ["alertname": "tool-down", "severity": "critical", "tool": "whisper", "node": "pi"],
                "annotations": [
                    "summary": "tool-down: whisper on pi (3 times)",
                    "description": "exit code 1\nsince 2026-11-24T09:04:34Z, events 15, 16, 17",
                ],
                "startsAt": "2026-11-24T09:04:34Z", "endsAt": "2026-11-24T10:04:44Z",
                "generatorURL": "https://mesh.example/",
            ]
        ]
        #expect(try alerts(.sample()) == expected)
        let over = try alerts(.sample(status: .resolved))
        #expect(over[0]?["endsAt"] == "2026-11-24T09:06:04Z")
        #expect(over[0]?["labels"] == expected[0]?["labels"])
        let test = try alerts(.sample(isTest: true))
        #expect(test[0]?["labels"]?["test"] == "true")
        #expect(test[0]?["endsAt"] == "2026-11-24T09:09:44Z")
    }

    @Test func ofSeveralReportsTheNewestIsSent() throws {
        var notification = AlertNotification.sample()
        let first = notification.alerts[0]
        var over = first
        (over.status, over.at) = (.resolved, .sample(30))
        var again = first
        (again.id, again.since, again.at) = ("a-2", .sample(40), .sample(40))
        var other = first
        other.group = AlertGroup([.init("tool", "piper"), .init("node", "pi")])
        // As a runner sorts them: what fires comes first.
        notification.alerts = [first, again, other, over]
        let sent = try alerts(notification)
        #expect(sent.array?.compactMap { $0["labels"]?["tool"]?.string } == ["whisper", "piper"])
        #expect(sent[0]?["startsAt"] == "2026-11-24T09:05:14Z")
        #expect(sent[0]?["endsAt"] == "2026-11-24T10:04:44Z")
        notification.alerts = [first, over]
        #expect(try alerts(notification)[0]?["endsAt"] == "2026-11-24T09:05:04Z")
    }

    @Test func namesOfLabelsAreValidAndEachIsThereOnce() {
        var alert = AlertNotification.sample().alerts[0]
        alert.group = AlertGroup([
            .init("gpu.temperature", "1"), .init("gpu-temperature", "2"), .init("severity", "3"), .init("7up", "4"),
            .init("__name__", "5"), .init("é", "6"), .init("", "7"), .init("alertname", "8"),
        ])
        let labels = AlertmanagerNotifier.labels(alert, isTest: false)
        #expect(
            labels.map(\.0).sorted() == [
                "_7up", "_name__", "alertname", "alertname_2", "gpu_temperature", "gpu_temperature_2", "label",
                "label_2",
                "severity", "severity_2",
            ]
        )
        #expect(Set(labels.map(\.0)).count == labels.count)
    }

    @Test(arguments: AlertNotification.hostile)
    func whatAStrangerWroteIsText(notification: AlertNotification) throws {
        try request(notification).expectWellFormed(fields: [])
        let alert = try #require(try alerts(notification)[0])
        for (name, value) in try #require(alert["labels"]?.object) {
            #expect(name.wholeMatch(of: /[a-zA-Z_][a-zA-Z0-9_]*/) != nil)
            #expect(value.string?.isHarmless == true)
            #expect((value.string?.unicodeScalars.count ?? 0) <= 256)
        }
        #expect(alert["annotations"]?["description"]?.string?.isHarmless == true)
        let page = alert["generatorURL"]?.string
        #expect(page == nil || page?.wholeMatch(of: /https:\/\/(mesh\.example|x)\/[!-~]*/) != nil)
    }
}
