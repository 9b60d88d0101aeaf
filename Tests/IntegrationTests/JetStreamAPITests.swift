import LocalNATSServer
import NATSClient
import NIOCore
import TestSupport
import Testing

/// Runs `body` with JetStream of a fresh server.
func withJetStream(
    _ binary: NATSServers.Binary,
    _ configuration: LocalNATSServer.Configuration = .init(),
    _ body: (JetStream, LocalNATSServer) async throws -> Void
) async throws {
    try await withServer(binary, configuration) { server in
        let connection = try await NATSConnection.connect(to: server.url)
        try await body(JetStream(connection: connection), server)
        await connection.close()
    }
}

func payload(_ text: String) -> ByteBuffer { ByteBuffer(string: text) }

@Suite("JetStream's API against real servers", .timeLimit(.minutes(2)))
struct JetStreamAPITests {
    /// What nats.go sends for a StreamConfig with Name, Subjects, MaxAge, MaxMsgs, Storage and Replicas.
    private let fromGo = """
        {"name":"MESH_EVENTS","subjects":["events.>"],"retention":"limits","max_consumers":0,"max_msgs":10000,\
        "max_bytes":0,"discard":"old","max_age":86400000000000,"max_msgs_per_subject":0,"storage":"file",\
        "num_replicas":1,"compression":"none","allow_direct":false,"mirror_direct":false,"consumer_limits":{}}
        """
    /// The same of nats-py.
    private let fromPython = """
        {"name":"MESH_EVENTS","subjects":["events.>"],"max_msgs":10000,"discard":"old",\
        "discard_new_per_subject":false,"max_age":86400000000000,"max_msgs_per_subject":-1,"max_msg_size":-1,\
        "storage":"file","num_replicas":1,"no_ack":false,"duplicate_window":0,"sealed":false,"deny_delete":false,\
        "deny_purge":false,"allow_rollup_hdrs":false}
        """

    private var ours: StreamConfiguration {
        var configuration = StreamConfiguration(name: "MESH_EVENTS", subjects: ["events.>"])
        configuration.maximumAge = .seconds(86_400)
        configuration.maximumMessages = 10_000
        return configuration
    }

    @Test("Go's and Python's add-stream succeed on our stream, and ours on theirs", arguments: NATSServers.all)
    func sameStream(binary: NATSServers.Binary) async throws {
        try await withJetStream(binary) { jetStream, _ in
            let stored = try await jetStream.createStream(ours)
            func create(_ request: String) async throws {
                var text = ""
                // Right after a deletion the server may still remove the files of the former stream.
                try await eventually("the server to be ready") {
                    let answer = try await jetStream.connection.request(
                        payload(request),
                        to: "$JS.API.STREAM.CREATE.MESH_EVENTS"
                    )
                    text = String(buffer: answer.payload)
                    return !text.contains("error creating store for stream")
                }
                #expect(text.contains("\"config\"") && !text.contains("\"error\""), "\(text)")
            }
            for request in [fromGo, fromPython] { try await create(request) }
            for request in [fromGo, fromPython] {
                try await jetStream.deleteStream("MESH_EVENTS")
                try await create(request)
                let theirs = try await jetStream.streamInfo("MESH_EVENTS")
                #expect(theirs.configuration == stored.configuration)
                #expect(ours.differences(from: theirs.configuration) == [])
                // And it is really the server's opinion, too.
                _ = try await jetStream.createStream(ours)
            }
        }
    }

    @Test("a stream's life: create, find, mismatch, update, purge, delete", arguments: NATSServers.all)
    func streams(binary: NATSServers.Binary) async throws {
        try await withJetStream(binary) { jetStream, _ in
            #expect(try await jetStream.account().streams == 0)
            let missing = try await #require(throws: JetStreamError.self) {
                _ = try await jetStream.streamInfo("MESH_EVENTS")
            }
            #expect(missing.errorCode == .streamNotFound)
            _ = try await jetStream.createStream(ours)
            let other = StreamConfiguration(fields: ours.fields.merging(["max_msgs": 7]) { $1 })
            let mismatch = try await #require(throws: JetStreamError.self) {
                _ = try await jetStream.createStream(other)
            }
            #expect(mismatch.errorCode == .streamNameInUse)
            var stored = try await jetStream.streamInfo("MESH_EVENTS").configuration
            stored.maximumMessages = 7
            #expect(try await jetStream.updateStream(stored).configuration.maximumMessages == 7)
            for number in 1...5 { _ = try await jetStream.publish(payload("\(number)"), to: "events.a") }
            #expect(try await jetStream.purgeStream("MESH_EVENTS", before: 3) == 2)
            #expect(try await jetStream.purgeStream("MESH_EVENTS", keeping: 1) == 2)
            #expect(try await jetStream.purgeStream("MESH_EVENTS", subject: "events.b") == 0)
            let state = try await jetStream.streamInfo("MESH_EVENTS").state
            #expect(state.messages == 1 && state.firstSequence == 5 && state.lastSequence == 5)
            try await jetStream.deleteStream("MESH_EVENTS")
            #expect(try await jetStream.account().streams == 0)
        }
    }

    @Test("publish: acknowledged, duplicates recognized, the wrong stream refused", arguments: NATSServers.all)
    func publish(binary: NATSServers.Binary) async throws {
        try await withJetStream(binary) { jetStream, _ in
            _ = try await jetStream.createStream(ours)
            let first = try await jetStream.publish(payload("a"), to: "events.a", messageID: "1")
            #expect(first == PublishAcknowledgement(stream: "MESH_EVENTS", sequence: 1))
            let again = try await jetStream.publish(payload("a"), to: "events.a", messageID: "1")
            #expect(again == PublishAcknowledgement(stream: "MESH_EVENTS", sequence: 1, isDuplicate: true))
            let wrong = try await #require(throws: JetStreamError.self) {
                _ = try await jetStream.publish(payload("a"), to: "events.a", expectedStream: "OTHER")
            }
            #expect(wrong.errorCode == .streamNotExpected)
            let nobody = try await #require(throws: JetStreamError.self) {
                _ = try await jetStream.publish(payload("a"), to: "elsewhere.a")
            }
            #expect(nobody.isNoResponders)
        }
    }

    @Test("10 000 acknowledged publishes leave no subscription behind", arguments: NATSServers.all)
    func oneInbox(binary: NATSServers.Binary) async throws {
        try await withJetStream(binary) { jetStream, _ in
            _ = try await jetStream.createStream(ours)
            let sequences = try await withThrowingTaskGroup(of: UInt64.self) { group in
                for number in 0..<10_000 {
                    if number >= 1_000 { _ = try await group.next() }
                    group.addTask {
                        try await jetStream.publish(payload("x"), to: "events.a", messageID: "\(number)").sequence
                    }
                }
                try await group.waitForAll()
                return try await jetStream.streamInfo("MESH_EVENTS").state.lastSequence
            }
            #expect(sequences == 10_000)
        }
    }

    @Test("names that would change the request's meaning are refused before anything is sent")
    func names() async throws {
        try await withJetStream(NATSServers.first) { jetStream, _ in
            for name in ["", "a.b", "a b", "*", ">", "a\r\nPUB x 0\r\n\r\n"] {
                let error = try await #require(throws: JetStreamError.self) { _ = try await jetStream.streamInfo(name) }
                #expect(error.kind == .invalidArgument)
            }
        }
    }

    @Test("without JetStream every call says so, at once", arguments: NATSServers.all)
    func disabled(binary: NATSServers.Binary) async throws {
        try await withJetStream(binary, .init(jetStream: false)) { jetStream, _ in
            let start = ContinuousClock.now
            let error = try await #require(throws: JetStreamError.self) { _ = try await jetStream.account() }
            #expect(error.isNoResponders || error.errorCode == .notEnabled, "\(error)")
            #expect(.now - start < .seconds(4))
        }
    }
}
