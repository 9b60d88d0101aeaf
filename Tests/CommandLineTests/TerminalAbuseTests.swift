import Foundation
import LocalNATSServer
import MeshAuth
import NATSClient
import TestSupport
import Testing

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// Names and texts that others chose and that would write into a terminal: none of it reaches one.
@Suite(.timeLimit(.minutes(5))) struct TerminalAbuseTests {
    private static let suite = "TerminalAbuseTests"
    /// Sets a title, clears, does both in C1, reorders the line, begins another.
    private static let hostile =
        "\u{1B}]0;pwned\u{7}\u{1B}[2J\u{9B}2J\u{9D}0;pwned\u{9C}\u{202E}\u{2066}x\u{85}\u{2028}"
    /// The same where no white space and no separator of lines can be, as in subjects and names of consumers.
    private static let hostileToken = "\u{1B}]0;pwned\u{7}\u{1B}[2J\u{9B}2J\u{202E}\u{2066}x"

    private static func isHarmful(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x0A: false
        case 0x00...0x1F, 0x7F...0x9F, 0x061C, 0x200E...0x200F, 0x2028...0x202E, 0x2066...0x2069, 0xFEFF: true
        default: false
        }
    }

    /// What is written in JSON, for a program, has the values as they are, yet never a control character of ASCII.
    private static func isHarmfulInJSON(_ scalar: Unicode.Scalar) -> Bool {
        scalar.value != 0x0A && (scalar.value < 0x20 || scalar.value == 0x7F)
    }

    private func expectHarmless(
        _ text: String,
        isJSON: Bool = false,
        _ what: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let found = text.unicodeScalars.first(where: isJSON ? Self.isHarmfulInJSON : Self.isHarmful)
        #expect(
            found == nil,
            "\(what) wrote U+\(String(found?.value ?? 0, radix: 16)): \(text.debugDescription)",
            sourceLocation: sourceLocation
        )
    }

    private func jsonText(_ text: String) -> String {
        let data = try? JSONEncoder().encode(text)
        return data.map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    /// Events, consumers and a stream with such names.
    private func fill(_ server: LocalNATSServer) async throws {
        let connection = try await connect(server)
        let jetStream = JetStream(connection: connection)
        var stream = StreamConfiguration(name: "MESH_EVENTS", subjects: ["events.>"])
        stream.fields["description"] = .string(Self.hostile)
        _ = try await jetStream.createStream(stream)
        let text = jsonText(Self.hostile)
        let lines: [(String, String)] = [
            ("user.a", #"{"node":\#(text),"data":{"text":\#(text),\#(text):1}}"#),
            ("user.a", #"{"node":"n","type":\#(text),"data":{}}"#),
            ("user.a", #"{"node":"n","data":\#(text)}"#), ("user.a", Self.hostile),
            ("user.\(Self.hostileToken)", #"{"node":"n","data":{}}"#),
            ("node.joined", #"{"node":\#(text),"data":{"host":\#(text),"capabilities":{\#(text):\#(text)}}}"#),
            ("node.health", #"{"node":\#(text),"data":{"status":\#(text),"checks":{\#(text):\#(text)}}}"#),
            ("tool.started", #"{"node":\#(text),"data":{"tool":\#(text),"version":\#(text)}}"#),
            ("tool.crashed", #"{"node":\#(text),"data":{"tool":\#(text),"error":\#(text),"restart_count":1}}"#),
            ("node.left", #"{"node":"gone","data":{"reason":\#(text)}}"#),
        ]
        for (type, line) in lines { try publish(line, to: "events.\(type)", over: connection) }
        // A server may refuse such a name; it takes such a filter.
        for name in ["c\(Self.hostileToken)", "plain"] {
            let request = #"""
                {"stream_name":"MESH_EVENTS","config":{"durable_name":\#(jsonText(name)),"ack_policy":"explicit",
                "filter_subject":\#(jsonText("events.user.\(Self.hostileToken)"))}}
                """#
            try publish(request, to: "$JS.API.CONSUMER.DURABLE.CREATE.MESH_EVENTS.\(name)", over: connection)
        }
        try await eventually("the events and a consumer") {
            let stream = try await jetStream.streamInfo("MESH_EVENTS")
            guard stream.state.messages == UInt64(lines.count) else { return false }
            return (try? await jetStream.consumerInfo("plain", on: "MESH_EVENTS")) != nil
        }
        await connection.close()
    }

    /// Publishes without the checks of the client, as a stranger's would.
    private func publish(_ text: String, to subject: String, over connection: NATSConnection) throws {
        var (subject, text) = (subject, text)
        let sent = subject.withUTF8 { subject in
            text.withUTF8 { text in
                Result {
                    try connection.publish(
                        subject: UnsafeRawBufferPointer(subject),
                        payload: UnsafeRawBufferPointer(text)
                    )
                }
            }
        }
        try sent.get()
    }

    @Test("what the mesh and its stream say, through every command that shows it", arguments: NATSServers.all)
    func commands(binary: NATSServers.Binary) async throws {
        let hostile = Self.hostile
        try await withServer(binary) { server in
            try await fill(server)
            let info = try await Command.run(["stream", "info", "--nats", server.url])
            #expect(info.code == 0 && info.output.contains("plain") && info.output.contains(#"\u001b"#), "\(info)")
            let commands: [[String]] = [
                ["list"], ["list", "user.a", "--node", hostile], ["stream", "info"],
                ["status"], ["status", "--node", hostile], ["replay"], ["wait-for", "tool.crashed", "--since", "1h"],
                ["list", hostile], ["watch", hostile], ["list", "--since", hostile], ["replay", "--from", hostile],
                ["replay", "--speed", hostile], ["emit", hostile], ["emit", "user.a", hostile],
                ["emit", "user.a", "--data", hostile], ["emit", "user.b", "a=\(hostile)", "--node", hostile],
                ["emit", "user.b", "--ack"], ["stream", "forget", hostile, "--yes"], ["stream", "forget", hostile],
                ["stream", "purge", hostile, "--yes"], ["stream", "update", "--max-age", hostile],
                ["tool", "start", hostile, "--node", hostile, "--timeout", "1s"],
                ["tool", "start", hostile, "--timeout", "1s"], ["import", hostile],
                ["export", "--out", "/no/\(hostile)"], ["serve", "--config", "/no/\(hostile)"],
                ["auth", "list", "/no/\(hostile)"], ["key", "show", "/no/\(hostile)"],
                ["on", hostile, "--durable", hostile, "--", "true"], ["wait-for", hostile], [hostile],
                ["list", "--\(hostile)"], ["dashboard", "--listen", hostile],
            ]
            for command in commands {
                let outcome = try await Command.run(Self.on(server.url, command))
                #expect([0, 64, 65, 69, 70, 75].contains(outcome.code), "\(command): \(outcome)")
                expectHarmless(outcome.output, "\(command)")
                expectHarmless(outcome.error, "\(command)")
            }
            for command in [
                ["list", "--json"], ["list", "--format", "cloudevents"], ["export"], ["stream", "info", "--json"],
                ["status", "--json"],
            ] {
                let outcome = try await Command.run(Self.on(server.url, command))
                #expect(outcome.code == 0, "\(command): \(outcome)")
                expectHarmless(outcome.output, isJSON: true, "\(command)")
                expectHarmless(outcome.error, "\(command)")
            }
            AbuseTable.note(
                suite: Self.suite,
                act: "names, data, subjects and consumers that write into a terminal",
                server: binary,
                outcome: .held,
                note: "shown as escapes"
            )
        }
    }

    @Test("the same on a terminal, JSON too: nothing but our own colours", arguments: NATSServers.all)
    func terminal(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            try await fill(server)
            for command in [
                ["list"], ["list", "--json"], ["stream", "info"], ["stream", "info", "--json"], ["status"],
                ["status", "--json"], ["replay"], ["export"], ["emit", "user.b", "a=\(Self.hostile)", "--json"],
                ["emit", "user.b", "a=\(Self.hostile)", "--json", "--ack"],
            ] {
                let terminal = try PseudoTerminal(width: 100)
                let running = try Command(Self.on(server.url, command), terminal: terminal)
                #expect(try await running.wait().code == 0, "\(command)")
                // Colours, the clearing of a line, the terminal's own line breaks.
                let shown = terminal.text().replacing(/\u{1B}\[(?:[0-9;]*m|K)/, with: "")
                let text = String(String.UnicodeScalarView(shown.unicodeScalars.filter { $0.value != 0x0D }))
                #expect(!text.isEmpty, "\(command)")
                expectHarmless(text, "\(command)")
            }
        }
    }

    @Test("what files say: lines to emit and to import, users, a manifest")
    func files() async throws {
        let directory = try TemporaryDirectory()
        try await withServer { server in
            for line in [
                Self.hostile, #"{"type":\#(jsonText(Self.hostile)),"timestamp":"2026-01-01T00:00:00Z"}"#,
                #"{"type":"user.a","timestamp":\#(jsonText(Self.hostile))}"#,
                #"{"type":"user.a","timestamp":"2026-01-01T00:00:00Z","data":\#(jsonText(Self.hostile))}"#,
                #"{"specversion":"1.0","id":\#(jsonText(Self.hostile)),"source":\#(jsonText(Self.hostile)),"type":"x"}"#,
            ] {
                for command in [
                    ["emit", "--from", "-"], ["import", "-"], ["import", "--format", "cloudevents", "-"],
                    ["emit", "--format", "cloudevents", "--from", "-"],
                ] {
                    let outcome = try await Command.run(Self.on(server.url, command), input: line + "\n")
                    expectHarmless(outcome.output + outcome.error, "\(command)")
                }
            }
            for manifest in [
                "\"\(Self.hostileToken)\": 1", "\u{9B}2J: [",
                "tools:\n  - name: \"\\e]0;x\\a\\N\"\n    command: \"\\e[2J\"",
            ] {
                let path = try directory.file("mesh.yaml", manifest)
                let outcome = try await Command.run(Self.on(server.url, ["serve", "--config", path, "--for", "1s"]))
                expectHarmless(outcome.output + outcome.error, "serve with \(manifest.debugDescription)")
            }
        }
        let auth = try AuthDirectory.create(at: directory.path + "/auth")
        let path = auth.path + "/mesh-auth.json"
        let users = try String(contentsOfFile: path, encoding: .utf8)
        for word in [#""observer""#, #""localhost""#] {
            try users.replacing(word, with: jsonText(Self.hostile))
                .write(toFile: path, atomically: true, encoding: .utf8)
            for command in [["auth", "list", auth.path], ["auth", "add", auth.path, Self.hostile, "--role", "tool"]] {
                let outcome = try await Command.run(command)
                expectHarmless(outcome.output + outcome.error, "\(command)")
            }
        }
    }

    @Test("what a server says of itself, and its errors")
    func server() async throws {
        let text = jsonText(Self.hostile)
        let information =
            #"INFO {"server_id":\#(text),"server_name":\#(text),"version":\#(text),"cluster":\#(text),"max_payload":1048576}"#
        let line = Self.hostile.unicodeScalars.filter { $0.value != 0x0A && $0.value != 0x0D }.reduce(into: "") {
            $0.unicodeScalars.append($1)
        }
        for words in [
            information + "\r\n-ERR '\(line)'\r\n", "INFO \(line)\r\n", "\(line)\r\n",
            information.replacing("1048576", with: "1") + "\r\n-ERR 'Authorization Violation \(line)'\r\n",
        ] {
            let fake = try TalkingServer(words)
            for command in [["list"], ["emit", "user.a"], ["status"]] {
                let outcome = try await Command.run(Self.on(fake.url, command))
                #expect(outcome.code == 69, "\(command): \(outcome)")
                expectHarmless(outcome.output + outcome.error, "\(command) after \(words.debugDescription)")
            }
            fake.stop()
        }
        AbuseTable.note(
            suite: Self.suite,
            act: "a server whose name and errors write into a terminal",
            outcome: .held,
            note: "shown as escapes"
        )
    }

    private static func on(_ url: String, _ command: [String]) -> [String] {
        guard let first = command.first, !["auth", "key"].contains(first) else { return command }
        let separator = command.firstIndex(of: "--") ?? command.count
        return Array(command[..<separator]) + ["--nats", url] + Array(command[separator...])
    }
}

/// Says the same to everyone who connects, and hangs up.
private final class TalkingServer: Sendable {
    private let descriptor: Int32
    let url: String

    init(_ words: String) throws {
        #if canImport(Darwin)
            let listener = socket(AF_INET, SOCK_STREAM, 0)
        #else
            let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        #endif
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listens = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, length) == 0 && listen(listener, 8) == 0 && getsockname(listener, $0, &length) == 0
            }
        }
        guard listens else { throw TestSupportError("there is no socket to be had") }
        descriptor = listener
        url = "nats://127.0.0.1:\(UInt16(bigEndian: address.sin_port))"
        let bytes = Array(words.utf8)
        Thread.detachNewThread {
            while true {
                let client = accept(listener, nil, nil)
                guard client >= 0 else { return }
                _ = bytes.withUnsafeBytes { send(client, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
                // What the client says is read before hanging up, or a reset could swallow the words.
                var buffer = [UInt8](repeating: 0, count: 4_096)
                _ = recv(client, &buffer, buffer.count, 0)
                close(client)
            }
        }
    }

    func stop() {
        shutdown(descriptor, Int32(SHUT_RDWR))
        close(descriptor)
    }
}
