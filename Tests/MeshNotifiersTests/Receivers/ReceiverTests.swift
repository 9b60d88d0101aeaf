import Foundation
import MeshAlerts
import MeshEvents
import ProcessGuard
import TestSupport
import Testing

@testable import MeshNotifiers

/// Others' programs on the other side: `Scripts/setup.sh test` installs them.
struct ReceiverTests {
    private static let directory = NATSServers.packageDirectory + "/.tools/alertmanager/usr/bin"

    // MARK: Alertmanager

    private func withAlertmanager(_ body: (_ port: Int) async throws -> Void) async throws {
        let binary = Self.directory + "/prometheus-alertmanager"
        guard TemporaryDirectory.exists(binary), TemporaryDirectory.exists(Self.directory + "/amtool") else {
            throw TestSupportError("There is no \(binary): run `Scripts/setup.sh test`.")
        }
        let directory = try TemporaryDirectory()
        let file = try directory.file("alertmanager.yml", "route: {receiver: none}\nreceivers: [{name: none}]\n")
        let port = try freePorts(1)[0]
        let process = try await SupervisedProcess.launch(
            .init(
                executable: binary,
                arguments: [
                    "--config.file=\(file)", "--storage.path=\(directory.path)", "--cluster.listen-address=",
                    "--web.listen-address=127.0.0.1:\(port)",
                ]
            ),
            appendingTo: directory.path + "/log"
        )
        do {
            try await eventually("Alertmanager answers") {
                if process.end != nil { throw TestSupportError("It ended: \(try directory.text(of: "log"))") }
                return try SpawnedProcess.outcome(of: Self.directory + "/amtool", Self.query(port)).code == 0
            }
            try await body(port)
        } catch {
            process.kill()
            _ = await process.waitForEnd()
            throw error
        }
        process.kill()
        _ = await process.waitForEnd()
    }

    private static func query(_ port: Int) -> [String] {
        ["--alertmanager.url=http://127.0.0.1:\(port)", "alert", "query", "-o", "json"]
    }

    /// The alerts that fire, as amtool prints them.
    private func alerts(_ port: Int) throws -> [JSONValue] {
        let text = try SpawnedProcess.run(Self.directory + "/amtool", Self.query(port))
        return try EventData(json: #"{"alerts":\#(text)}"#).value["alerts"]?.array ?? []
    }

    @Test func alertmanagerShowsWhatFiresUntilItIsOver() async throws {
        try await withAlertmanager { port in
            let target = NotifierConfiguration.alertmanager(
                try AlertmanagerConfiguration(url: "http://127.0.0.1:\(port)")
            )
            try await NotifierClient.with { client in
                let notifier = target.makeNotifier(client: client)
                #expect(try await notifier.notify(.sample()) == "200 OK")
                let alert = try #require(try alerts(port).first)
                #expect(
                    alert["labels"]
                        == ["alertname": "tool-down", "severity": "critical", "tool": "whisper", "node": "pi"]
                )
                #expect(alert["annotations"]?["summary"] == "tool-down: whisper on pi (3 times)")
                #expect(alert["generatorURL"] == "https://mesh.example/")
                #expect(alert["status"]?["state"] == "active")
                let start = try Timestamp(rfc3339: alert["startsAt"]?.string ?? "")
                #expect(start == .sample(0))
                let end = try Timestamp(rfc3339: alert["endsAt"]?.string ?? "")
                #expect(end.duration(since: .now) > .seconds(6 * 86_400))
                // Told again, it is still one; then it is over.
                _ = try await notifier.notify(.sample())
                #expect(try alerts(port).count == 1)
                _ = try await notifier.notify(.sample(status: .resolved))
                try await eventually("the end of the alert") { try alerts(port).isEmpty }
                for notification in AlertNotification.hostile {
                    #expect(try await notifier.notify(notification) == "200 OK")
                }
                #expect(try alerts(port).count > Hostile.texts.count)
            }
        }
    }

    // MARK: Webhooks

    /// The receiver's check, as the documentation of `WebhookConfiguration` has it.
    private static func documentedCheck() throws -> String {
        let file = NATSServers.packageDirectory + "/Sources/MeshNotifiers/Targets/WebhookNotifier.swift"
        let lines = try String(contentsOfFile: file, encoding: .utf8).split(
            separator: "\n",
            omittingEmptySubsequences: false
        )
        guard let begin = lines.firstIndex(of: "/// ```python") else {
            throw TestSupportError("There is no Python in \(file).")
        }
        return lines[(begin + 1)...].prefix { $0 != "/// ```" }.map { $0.dropFirst(4) }.joined(separator: "\n")
    }

    @Test func theGuideHasTheSameCheck() throws {
        let guide = NATSServers.packageDirectory + "/Sources/MeshEvents/MeshEvents.docc/Alerts.md"
        #expect(
            try String(contentsOfFile: guide, encoding: .utf8).contains("```python\n\(Self.documentedCheck())\n```")
        )
    }

    @Test(arguments: ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "a plain secret"])
    func pythonChecksTheSignatureAndReadsTheCloudEvent(secret: String) async throws {
        try await Receiver.with { receiver in
            let target = try WebhookConfiguration(url: "http://127.0.0.1:\(receiver.port)/hook", secret: secret)
            try await NotifierClient.with { client in
                let notifier = NotifierConfiguration.webhook(target).makeNotifier(client: client)
                for notification in [AlertNotification.sample(reason: "Größe <&> \"\\")] + AlertNotification.hostile {
                    _ = try await notifier.notify(notification)
                }
            }
            let directory = try TemporaryDirectory()
            let requests = receiver.requests.map { request -> JSONValue in
                var headers: [(String, JSONValue)] = []
                for name in ["content-type", "webhook-id", "webhook-timestamp", "webhook-signature"] {
                    headers.append((name, .string(request.header(name) ?? "")))
                }
                return ["headers": .object(JSONObject(headers)), "body": .string(request.text)]
            }
            let file = try directory.file("requests", requests.map { "\($0)\n" }.joined())
            let script =
                try Self.documentedCheck() + "\n"
                    + #"""
                    import json, os
                    from cloudevents.core.bindings.http import HTTPMessage, from_http_event
                    secret = os.environ["SECRET"]
                    count = 0
                    for line in open(os.environ["FILE"], encoding="utf-8", newline="\n"):
                        request = json.loads(line)
                        headers, body = request["headers"], request["body"].encode()
                        assert is_genuine(secret, headers, body), headers
                        assert not is_genuine(secret, headers, body + b" ")
                        assert not is_genuine(secret + "BBBB", headers, body)
                        assert not is_genuine(secret, headers | {"webhook-timestamp": str(int(time.time()) - 301)}, body)
                        assert not is_genuine(secret, headers | {"webhook-id": "n-2"}, body)
                        event = from_http_event(HTTPMessage({"content-type": headers["content-type"]}, body))
                        assert event.get_id() == headers["webhook-id"] == event.get_data()["id"]
                        assert event.get_type() == "mesh.alert.firing" and event.get_source() == "/mesh/alerts"
                        if count == 0: print(event.get_data()["alerts"][0]["reason"])
                        count += 1
                    print(count)
                    """#
            let output = try await Python.run(script, environment: ["SECRET": secret, "FILE": file], Python.contracts)
            #expect(output == "Größe <&> \"\\\n\(requests.count)\n")
        }
    }

    // MARK: apprise

    @Test func appriseSaysTheSameToNtfy() async throws {
        try await Receiver.with { receiver in
            let url = "http://127.0.0.1:\(receiver.port)/lab"
            let target = NotifierConfiguration.ntfy(
                try NtfyConfiguration(url: url, token: "tk_AgQdq7mVBoFD37zQVN29RhuMzNIz2")
            )
            let notification = AlertNotification.sample()
            try await NotifierClient.with { client in
                _ = try await target.makeNotifier(client: client).notify(notification)
            }
            let script = #"""
                import apprise, os
                target = apprise.Apprise()
                assert target.add(os.environ["TARGET"])
                assert target.notify(title=os.environ["TITLE"], body=os.environ["BODY"])
                """#
            let apprise =
                "ntfy://tk_AgQdq7mVBoFD37zQVN29RhuMzNIz2@127.0.0.1:\(receiver.port)/lab?priority=max"
                + "&click=https%3A%2F%2Fmesh.example%2F&tags=rotating_light,firing,critical&auth=token"
            try await Python.run(
                script,
                environment: ["TARGET": apprise, "TITLE": notification.title, "BODY": notification.body],
                Python.contracts
            )
            try #require(receiver.requests.count == 2)
            let (ours, theirs) = (receiver.requests[0], receiver.requests[1])
            #expect(ours.line == theirs.line)
            for name in ["Authorization", "Content-Type"] { #expect(ours.header(name) == theirs.header(name)) }
            let (our, their) = (try EventData(json: ours.body), try EventData(json: theirs.body))
            for name in ["topic", "title", "message"] { #expect(our[name]?.value == their[name]?.value, "\(name)") }
            // What apprise says in header fields is in our JSON.
            #expect(
                our["priority"]?.value.int
                    == theirs.header("X-Priority").flatMap { NtfyConfiguration.Priority($0)?.rawValue }
            )
            #expect(our["click"]?.value.string == theirs.header("X-Click"))
            #expect(
                our["tags"]?.value.array?.compactMap(\.string).sorted()
                    == theirs.header("X-Tags")?.split(separator: ",").map(String.init).sorted()
            )
        }
    }

    private static let sink = #"""
        import socketserver, sys
        class Handler(socketserver.StreamRequestHandler):
            def say(self, text): self.wfile.write((text + "\r\n").encode())
            def handle(self):
                self.say("220 sink")
                while line := self.rfile.readline():
                    word = (line.split() or [b""])[0].upper()
                    if word == b"DATA":
                        self.say("354 go on")
                        data = b""
                        while (line := self.rfile.readline()) not in (b".\r\n", b""): data += line
                        sys.stdout.buffer.write(data + b"END OF MAIL\n")
                        sys.stdout.flush()
                        self.say("250 stored")
                    elif word == b"QUIT":
                        self.say("221 bye")
                        return
                    else:
                        self.say("250 ok")
        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        print("port", server.server_address[1], flush=True)
        server.serve_forever()
        """#

    @Test func appriseMailsWhatTheCommandIsGiven() async throws {
        let sink = try Python.start(Self.sink, environment: [:], Python.contracts)
        try await eventually("the sink's port") { sink.output.contains(/port \d+\n/) }
        let port = try #require(sink.output.firstMatch(of: /port (\d+)/)?.1)
        let configuration = try CommandTargetConfiguration(
            [
                .init(Python.contracts), "-c", "from apprise.cli import main; main()", "-t", "{title}", "-b", "{body}",
            ],
            environment: [
                "APPRISE_URLS": "mailto://127.0.0.1:\(port)?from=mesh@example.org&to=lab@example.org&mode=insecure"
            ],
            timeout: .seconds(60)
        )
        let notifier = CommandNotifier(configuration: configuration)
        #expect(
            try await notifier.notify(.sample(reason: "--config=/etc/passwd\r\nBcc: evil@example.org")) == "exit code 0"
        )
        try await sink.waitForOutput("END OF MAIL")
        #expect(sink.output.contains("Subject: tool-down: whisper on pi (3 times)"))
        #expect(sink.output.contains("--config=3D/etc/passwd"))
        let head = sink.output.split(separator: "\r\n\r\n").first ?? ""
        #expect(!head.contains("Bcc"))
    }
}
