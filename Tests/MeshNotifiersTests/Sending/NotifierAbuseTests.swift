import MeshAlerts
import MeshConcurrency
import MeshEvents
import TestSupport
import Testing

@testable import MeshNotifiers

/// What a stranger wrote in an event, and what a target answers, do no harm.
@Suite(.timeLimit(.minutes(5))) struct NotifierAbuseTests {
    private static let suite = "NotifierAbuseTests"
    private static let token = "tk_7eevizlsiwf9yi4uxsrs83r4352o0"
    private static let path = "s3cretPath-XYZ"
    private static let password = "p4ssw0rd!"

    /// Every target that is reached by HTTP, with a secret wherever one can be.
    private static func targets(_ port: Int) throws -> [NotifierConfiguration] {
        let login = "http://user:p4ssw0rd%21@127.0.0.1:\(port)/\(path)"
        return [
            .ntfy(try NtfyConfiguration(url: login, token: token)),
            .slack(try SlackConfiguration(url: login + "/x?k=\(token)")),
            .discord(try DiscordConfiguration(url: login)),
            .webhook(try WebhookConfiguration(url: login, secret: token)),
            .alertmanager(try AlertmanagerConfiguration(url: login, token: token)),
        ]
    }

    @Test func noTextOfAnEventEndsAHeaderOrTheBody() async throws {
        try await Receiver.with { receiver in
            try await NotifierClient.with(.init(environment: [:])) { client in
                for target in try Self.targets(receiver.port) {
                    let notifier = target.makeNotifier(client: client)
                    let before = receiver.requests.count
                    for notification in AlertNotification.hostile {
                        #expect(try await notifier.notify(notification) == "200 OK")
                    }
                    let requests = receiver.requests.dropFirst(before)
                    #expect(requests.count == AlertNotification.hostile.count)
                    // The same lines in each of them: nothing was added to the head.
                    let fields = Set(requests.map { $0.fields.map { $0.prefix { $0 != ":" }.lowercased() } })
                    #expect(fields.count == 1, "\(target)")
                    #expect(Set(requests.map(\.line)).count == 1)
                    for request in requests {
                        #expect(throws: Never.self, "\(target)") { try EventData(json: #"{"body":\#(request.text)}"#) }
                    }
                    AbuseTable.note(
                        suite: Self.suite,
                        act: "an event's text ends a header, the JSON, a link or a mention of \(target.kind)",
                        outcome: .held
                    )
                }
            }
        }
    }

    @Test func aTargetThatRepeatsTheRequestMakesNoErrorWithASecret() async throws {
        let echo: @Sendable (Receiver.Request) -> Receiver.Answer = { request in
            let plain = ([request.line] + request.fields + [request.text]).joined(separator: "\n")
            let escaped = plain.replacing("/", with: #"\/"#)
            return .status(400, body: "\(plain)\n\(escaped)\n\(plain.replacing("%21", with: "!"))")
        }
        try await Receiver.with(echo) { receiver in
            try await NotifierClient.with(.init(environment: [:])) { client in
                for target in try Self.targets(receiver.port) {
                    let notifier = target.makeNotifier(client: client)
                    let error = await thrownError { () async throws(NotificationFailure) in
                        _ = try await notifier.notify(.sample())
                    }
                    let message = try #require(error?.message)
                    #expect(message.contains("answered 400") && message.count <= 500)
                    for secret in [Self.token, Self.path, Self.password, "p4ssw0rd", "dXNlcjpwNHNzdzByZCE="] {
                        #expect(!message.contains(secret), "\(target): \(message)")
                    }
                    AbuseTable.note(
                        suite: Self.suite,
                        act: "\(target.kind) repeats address, token and login in its answer",
                        outcome: .held
                    )
                }
            }
        }
    }

    @Test func aTargetThatRedirectsOrNeverEndsGetsNothingMore() async throws {
        try await Receiver.with { elsewhere in
            let port = elsewhere.port
            let answers: [(String, Receiver.Answer)] = [
                ("redirects to another address", .status(308, fields: ["Location: http://127.0.0.1:\(port)/"])),
                ("answers without end", .endless(403)), ("answers a byte at a time", .drip(403)),
                ("never answers", .hang), ("cuts the connection off", .reset(after: "HTTP/1.1 2")),
            ]
            for (act, answer) in answers {
                try await Receiver.with({ _ in answer }) { receiver in
                    let address = "http://127.0.0.1:\(receiver.port)/\(Self.path)"
                    let target = NotifierConfiguration.webhook(
                        try WebhookConfiguration(url: address, timeout: .seconds(3))
                    )
                    await NotifierClient.with(.init(environment: [:])) { client in
                        let notifier = target.makeNotifier(client: client)
                        let error = await thrownError { () async throws(NotificationFailure) in
                            _ = try await notifier.notify(.sample())
                        }
                        #expect(error != nil && error?.message.contains(Self.path) == false, "\(act)")
                    }
                    #expect(receiver.requests.count == 1)
                }
                AbuseTable.note(suite: Self.suite, act: "a target \(act)", outcome: .refused)
            }
            #expect(elsewhere.requests.isEmpty)
        }
    }

    @Test func noTextOfAnEventBecomesAnOptionOrAFileOfACommand() async throws {
        let configuration = try CommandTargetConfiguration([
            "true", "{title}", "{body}", "{reason}", "{rule}", "{group}",
        ])
        let notifier = CommandNotifier(configuration: configuration)
        for notification in AlertNotification.hostile {
            for argument in try notifier.arguments(notification) {
                #expect(!"-+@".contains(argument.first ?? " "), "\(argument.debugDescription)")
            }
        }
        AbuseTable.note(suite: Self.suite, act: "an event's text is an option or a file of a command", outcome: .held)
    }
}
