import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import MeshSupervision
import NATSClient
import NIOCore
import TestSupport
import Testing

/// A party that reads the mesh and publishes, and wants events of others not to be stored: it uses up message ids.
private struct Stranger {
    let connection: NATSConnection
    let jetStream: JetStream
    let seen: NATSSubscription

    init(_ server: LocalNATSServer) async throws {
        connection = try await connect(server)
        jetStream = JetStream(connection: connection)
        seen = try await connection.subscribe(to: "events.>")
    }

    /// The message id of the next event.
    func nextID() async throws -> String {
        try await withDeadline(.seconds(30), "an event with a message id") { [seen] in
            for try await message in seen {
                if let id = message.headers["Nats-Msg-Id"] { return id }
            }
            throw TestSupportError("the subscription has ended")
        }
    }

    /// Has the stream store a message of its own with this id; the message's sequence.
    @discardableResult
    func take(_ id: String, subject: String = "events.user.stranger") async throws -> UInt64 {
        try await jetStream.publish(payload(#"{"node":"stranger","data":null}"#), to: subject, messageID: id).sequence
    }

    /// Takes what would come after an id, were ids counted: in decimal digits at its end, or in all its characters.
    func takeNext(_ count: Int, after id: String) async throws {
        let prefix = String(id.reversed().drop(while: \.isNumber).reversed())
        if let number = UInt64(id.dropFirst(prefix.count)) {
            for next in 1...UInt64(count) { try await take(prefix + String(number &+ next)) }
        }
        var characters = Array(id.utf8)
        for _ in 0..<count {
            var index = characters.count - 1
            while index >= 0 {
                let isLast = characters[index] == UInt8(ascii: "v")
                characters[index] =
                    isLast
                    ? UInt8(ascii: "0")
                    : characters[index] == UInt8(ascii: "9") ? UInt8(ascii: "a") : characters[index] + 1
                guard isLast else { break }
                index -= 1
            }
            try await take(String(decoding: characters, as: UTF8.self))
        }
    }
}

/// "Duplicate" is a success only of a retry: no other party's message keeps an event out of the stream unnoticed.
@Suite("Using up message ids", .timeLimit(.minutes(3)))
struct MessageIDAbuseTests {
    private static let suite = "MessageIDAbuseTests"

    private func open(
        _ server: LocalNATSServer,
        _ configuration: EventBus.Configuration = .init()
    ) async throws -> PersistentEventBus {
        try await PersistentEventBus.open(
            transport: NATSTransport(try await connect(server)),
            node: "node-a",
            busConfiguration: configuration,
            logger: quiet
        )
    }

    private func numbers(_ bus: PersistentEventBus, _ pattern: EventPattern) async throws -> [Int] {
        try await bus.history(matching: pattern, limit: 10_000).compactMap { $0.event.data["n"]?.int }
    }

    @Test("who reads the ids of events cannot take those of the next", arguments: NATSServers.all)
    func next(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let bus = try await open(server)
            let stranger = try await Stranger(server)
            try await bus.emit("user.alarm", ["n": 0])
            try await stranger.takeNext(200, after: try await stranger.nextID())
            for number in 1...50 {
                let position = try await bus.emit("user.alarm", ["n": .init(number)])
                #expect(!position.isDuplicate)
            }
            let type: EventType = "user.alarm"
            let batch = (51...150).map { Event(type, data: ["n": .init($0)]) }
            #expect(try await bus.emit(contentsOf: batch).allSatisfy { !$0.isDuplicate })
            #expect(try await numbers(bus, "events.user.alarm") == Array(0...150))
            let emitter = LifecycleEmitter(bus: bus, logger: quiet)
            let running = Task { await emitter.run() }
            emitter.emit(ToolStarted(tool: "a"))
            #expect(await emitter.drain(timeout: .seconds(30)).isEmpty)
            await running.value
            #expect(try await bus.history(matching: "events.tool.started").count == 1)
            AbuseTable.note(
                suite: Self.suite,
                act: "takes the 200 message ids that follow those it reads",
                server: binary,
                outcome: .held,
                note: "all events are stored"
            )
            await stranger.connection.close()
        }
    }

    @Test("a duplicate at the first attempt is an error that says so, not a success", arguments: NATSServers.all)
    func first(binary: NATSServers.Binary) async throws {
        try await withStore(binary) { store, _, server in
            _ = try await store.open(PersistentEventBus.Configuration())
            let stranger = try await Stranger(server)
            let taken = try await stranger.take("id-7")
            func message(_ number: Int, mayBeStored: Bool = false) -> PendingMessage {
                PendingMessage(
                    subject: "events.user.alarm",
                    payload: Array(#"{"node":"n","data":{"n":\#(number)}}"#.utf8),
                    messageID: "id-\(number)",
                    mayBeStored: mayBeStored
                )
            }
            let alone = await #expect(throws: MeshEventsError.self) {
                try await store.append(message(7), deadline: .seconds(30))
            }
            #expect(alone?.code == .duplicateMessageID && alone?.isRetriable == false, "\(alone as Any)")
            #expect(alone?.message.contains("sequence \(taken)") == true, "\(alone as Any)")
            #expect(alone?.message.contains("is not stored") == true, "\(alone as Any)")
            // A window of 256 has groups of 64, in which acknowledgements do not say whose they are.
            for window in [1, 8, 256] {
                let many = store.makeAppender(window: window, deadline: .seconds(30)) { _, _ in }
                let first = window * 1_000
                let error = await #expect(throws: MeshEventsError.self) {
                    for number in first..<first + 5 { try await many.append(message(number)) }
                    try await many.append(message(7))
                    for number in first + 5..<first + 10 { try await many.append(message(number)) }
                    try await many.finish()
                }
                #expect(error?.code == .duplicateMessageID, "window \(window): \(error as Any)")
                #expect(error?.message.contains("sequence \(taken)") == true, "\(error as Any)")
            }
            // A retry of what is stored succeeds, and so does what says that it may be stored.
            #expect(try await store.append(message(1_000, mayBeStored: true), deadline: .seconds(30)).isDuplicate)
            let again = store.makeAppender(window: 256, deadline: .seconds(30)) { _, _ in }
            for number in 1_000..<1_005 { try await again.append(message(number, mayBeStored: true)) }
            try await again.finish()
            AbuseTable.note(
                suite: Self.suite,
                act: "uses an event's message id before the event is sent",
                server: binary,
                outcome: .refused,
                note: "the emitter gets duplicateMessageID"
            )
            await stranger.connection.close()
        }
    }

    @Test("a dead letter's id can be worked out, and taking it keeps no dead letter out", arguments: NATSServers.all)
    func deadLetter(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let bus = try await open(server)
            let stranger = try await Stranger(server)
            try await bus.emit("user.alarm", ["n": 1])
            try await bus.emit("user.alarm", ["n": 2])
            for stored in try await bus.history() {
                let id = "dead-letter.strict.\(stored.sequence).\(stored.storedAt.nanosecondsSinceEpoch)"
                // One where a dead letter would be, the other anywhere.
                let isFirst = stored.sequence == 1
                try await stranger.take(id, subject: isFirst ? "events.user.dead_letter.strict" : "events.user.x")
            }
            let durable = try await bus.subscribe(durable: "strict", to: "events.user.alarm")
            var given = 0
            for try await delivery in durable {
                try await delivery.terminate(reason: "no good")
                given += 1
                if given == 2 { break }
            }
            let letters = try await bus.history(matching: "events.user.dead_letter.strict")
                .compactMap { $0.event.data["data"]?["n"]?.int }
            #expect(letters == [1, 2])
            AbuseTable.note(
                suite: Self.suite,
                act: "uses the message id of a dead letter to come",
                server: binary,
                outcome: .held,
                note: "the dead letter gets another id"
            )
            await stranger.connection.close()
        }
    }
}
