import Foundation
import Logging
import MeshEvents
import NATSClient
import TestSupport
import Testing

@testable import MeshToolSDK

@Suite("A tool's environment")
struct MeshToolEnvironmentTests {
    private let good = [
        "JB_NATS_URL": "nats://me:s3cr3t@127.0.0.1:4222", "JB_NODE_NAME": "attic", "JB_TOOL_NAME": "whisper",
        "JB_TOOL_CONFIG": #"{"rate":0.1,"model":"base"}"#,
    ]

    private func problem(_ changes: [String: String?]) -> MeshEventsError? {
        do throws(MeshEventsError) {
            _ = try MeshTool.Environment(
                good.merging(changes.compactMapValues(\.self)) { $1 }.filter {
                    !(changes.keys.contains($0.key) && changes[$0.key] == .some(nil))
                }
            )
            return nil
        } catch {
            return error
        }
    }

    @Test func readsAll() throws {
        let environment = try MeshTool.Environment(good)
        #expect(environment.servers.map(\.description) == ["nats://127.0.0.1:4222"])
        #expect(environment.node == "attic")
        #expect(environment.tool == "whisper")
        #expect(environment.configuration == ["rate": 0.1, "model": "base"])
        guard case .none = environment.authentication else {
            Issue.record("the login is in the address")
            return
        }
    }

    @Test("the node's socket, and the time of its watchdog, which needs the socket")
    func socket() throws {
        func read(_ more: [String: String]) throws -> MeshTool.Environment {
            try MeshTool.Environment(good.merging(more) { $1 })
        }
        let both = try read(["NOTIFY_SOCKET": "/run/notify", "WATCHDOG_USEC": "1500000"])
        #expect(both.notifySocket == "/run/notify" && both.watchdog == .milliseconds(1_500))
        #expect(try read(["WATCHDOG_USEC": "1500000"]).watchdog == nil)
        for odd in ["", "0", "-1", "soon", "99999999999999999999"] {
            #expect(try read(["NOTIFY_SOCKET": "@abstract", "WATCHDOG_USEC": odd]).watchdog == nil)
        }
        #expect(try read(["NOTIFY_SOCKET": ""]).notifySocket == nil)
        // The time may be another process's.
        let own = "\(ProcessInfo.processInfo.processIdentifier)"
        for (pid, expected) in [("1", nil), (own, .seconds(1)), ("", nil)] as [(String, Duration?)] {
            let more = ["NOTIFY_SOCKET": "@abstract", "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": pid]
            #expect(try read(more).watchdog == expected, "\(pid)")
        }
    }

    @Test("without a socket, or with one that is none, it does nothing, and says so once")
    func notifier() throws {
        let long = "/" + String(repeating: "a", count: 300)
        for address in [nil, "", "relative", long, "/no/such/socket", "@no-such-socket"] as [String?] {
            let log = CountedLog()
            let notifier = NodeNotifier(socket: address, logger: Logger(label: "t") { _ in log })
            for _ in 0..<3 { notifier.send("READY=1") }
            notifier.send("WATCHDOG=1", waits: false)
            #expect(log.lines.count == 1, "\(address ?? "none")")
        }
    }

    @Test("what a node of another implementation leaves out has a default")
    func defaults() throws {
        for config in ["", "  \n", "null", "{}"] {
            let environment = try MeshTool.Environment([
                "JB_NATS_URL": "nats://127.0.0.1", "JB_NODE_NAME": "attic", "JB_TOOL_CONFIG": config,
            ])
            #expect(environment.configuration == .empty)
            #expect(!environment.tool.isEmpty)
            #expect(!environment.tool.contains("/"))
        }
    }

    @Test(
        "a variable that is missing or wrong is named, with what it should hold",
        arguments: [
            ("JB_NATS_URL", nil, "e.g. nats://127.0.0.1:4222"),
            ("JB_NATS_URL", " ", "e.g. nats://127.0.0.1:4222"),
            ("JB_NATS_URL", "http://s3cr3t", "nats:// or tls://"),
            ("JB_NATS_URL", "nats://me:s3cr3t@", "e.g. nats://127.0.0.1:4222"),
            ("JB_NATS_URL", "nats://me:s3cr3t@host:port", "1 to 65535"),
            ("JB_NODE_NAME", nil, "the name of the node"),
            ("JB_TOOL_CONFIG", #"{"token":"s3cr3t""#, "as a JSON object"),
            ("JB_TOOL_CONFIG", "s3cr3t", "as a JSON object"),
            ("JB_TOOL_CONFIG", #"["s3cr3t"]"#, "as a JSON object"),
            ("JB_NATS_CREDS", "/no/such/file", "the path of a credentials file"),
        ] as [(String, String?, String)]
    )
    func named(variable: String, value: String?, hint: String) throws {
        let error = try #require(problem([variable: value]))
        #expect(error.code == .invalidArgument)
        #expect(error.message.contains(variable))
        #expect(error.message.contains(hint), "\(error.message)")
        if variable != "JB_NATS_URL" || value?.contains("@") == true {
            #expect(!"\(error)".contains("s3cr3t"), "\(error)")
        }
    }

    @Test("a credentials file comes before a token, a token before the address")
    func logins() throws {
        let directory = try TemporaryDirectory()
        let path = try directory.file("creds", "…", mode: 0o600)
        let both = ["MESH_EVENTS_TOKEN": "t", "JB_NATS_CREDS": path]
        func login(_ variables: [String: String]) throws -> NATSAuthentication {
            try MeshTool.Environment(good.merging(variables) { $1 }).authentication
        }
        guard case .credentialsFile(path) = try login(both),
            case .token("t") = try login(["MESH_EVENTS_TOKEN": "t", "JB_NATS_CREDS": ""]),
            case .none = try login(["MESH_EVENTS_TOKEN": ""])
        else {
            Issue.record("another login")
            return
        }
    }

    @Test func topics() throws {
        #expect(try MeshTool.type(of: "training.complete") == "user.training.complete")
        #expect(try MeshTool.type(of: "user.training.complete") == "user.training.complete")
        #expect(try MeshTool.type(of: "tool.crashed") == "user.tool.crashed")
        #expect(try MeshTool.type(of: "user") == "user.user")
        for bad in ["", "a..b", "a b", "user.", ".", "a.*", ">", "a\n"] {
            #expect(throws: MeshEventsError.self, "\(bad.debugDescription)") { try MeshTool.type(of: bad) }
        }
    }
}

/// Counts log lines.
private struct CountedLog: LogHandler {
    let lines = Counter()
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { lines.add() }
}
