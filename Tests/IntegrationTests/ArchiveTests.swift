import LocalNATSServer
import MeshAuth
import MeshEvents
import MeshEventsNATS
import NATSClient
import TestSupport
import Testing

/// The archive of the event stream on real servers. Servers before 2.11.5 cannot fill one.
@Suite("The archive", .timeLimit(.minutes(5)))
struct ArchiveTests {
    private static let archived = PersistentEventBus.Configuration(archive: ArchiveConfiguration())

    /// Runs `body` with an opened stream; not at all when the server cannot fill an archive.
    private func withArchive(
        _ binary: NATSServers.Binary,
        _ configuration: PersistentEventBus.Configuration = archived,
        _ body: (PersistentEventBus, JetStreamStore, LocalNATSServer) async throws -> Void
    ) async throws {
        try await withServer(binary) { server in
            let transport = try await NATSTransport.connect(to: server.url, logger: quiet)
            let store = JetStreamStore(transport.connection)
            if await store.archiveHindrance == nil {
                let bus = try await PersistentEventBus.open(
                    transport: transport,
                    store: store,
                    node: "n",
                    configuration: configuration,
                    logger: quiet
                )
                #expect(bus.opening.archive == .created)
                try await body(bus, store, server)
            }
            await transport.close()
        }
    }

    private func caughtUp(_ store: JetStreamStore) async throws {
        try await eventually("the archive to have everything") {
            try await store.archiveReport()?.stream.state.lastSequence == store.state().lastSequence
        }
    }

    @Test(
        "the event stream does not differ from the Go mesh's, and nothing finds the archive by its subjects",
        arguments: NATSServers.all
    )
    func unseen(binary: NATSServers.Binary) async throws {
        try await withArchive(binary) { bus, store, _ in
            try await bus.emit("user.a")
            try await caughtUp(store)
            let go = StreamConfiguration(name: "MESH_EVENTS", subjects: ["events.>"]).with(
                ["max_age": .integer(86_400_000_000_000), "max_msgs": .integer(10_000)]
            )
            // The server answers an error when any field differs.
            let stream = try await store.jetStream.createStream(go)
            #expect(stream.state.consumerCount == 0)
            #expect(try await store.jetStream.streamNames(subject: "events.>") == ["MESH_EVENTS"])
            #expect(try await store.report().consumers == [])
        }
    }

    @Test(
        "crashes outlast what pushes them out of the stream, with their sequences, times and fields",
        arguments: NATSServers.all
    )
    func outlast(binary: NATSServers.Binary) async throws {
        try await withArchive(binary) { bus, store, _ in
            for number in 0..<20 { try await bus.emit("tool.crashed", ["i": .init(number)]) }
            let before = try await bus.history(matching: .allTools)
            let health = (0..<1_000).map { Event("node.health", data: ["i": .init($0)]) }
            // More of them than the archive keeps of one type.
            for _ in 0..<30 { try await bus.emit(contentsOf: health) }
            try await caughtUp(store)
            #expect(try await store.state().firstSequence > 20)
            #expect(try await bus.history(matching: .allTools) == before)
            #expect(try await bus.history(matching: .allTools, since: before[5].storedAt) == Array(before[5...]))
            let archive = try #require(try await store.archiveReport())
            #expect(archive.isOfPresentStream && archive.limits == ArchiveConfiguration())
            #expect(archive.stream.subjects == ["events.tool.crashed": 20, "events.node.health": 20_000])
            var sequences: [UInt64] = []
            for try await stored in bus.historyReader.events() { sequences.append(stored.sequence) }
            #expect(sequences == Array(1...20) + Array(10_021...30_020))
        }
    }

    @Test("the archive goes on after the server was restarted, and after it was killed", arguments: NATSServers.all)
    func restarts(binary: NATSServers.Binary) async throws {
        let configuration = PersistentEventBus.Configuration(maximumMessages: 5, archive: ArchiveConfiguration())
        try await withArchive(binary, configuration) { bus, store, server in
            for round in 0..<3 {
                for number in 0..<4 { try await bus.emit("user.a", ["i": .init(round * 4 + number)]) }
                try await caughtUp(store)
                guard round < 2 else { break }
                if round == 1 { await server.kill() }
                try await server.restart()
            }
            #expect(try await bus.history(matching: "user.a").map(\.sequence) == Array(1...12))
        }
    }

    @Test(
        "a stream that was deleted and created again gets an archive of its own; the former one stays",
        arguments: NATSServers.all
    )
    func recreated(binary: NATSServers.Binary) async throws {
        let configuration = PersistentEventBus.Configuration(maximumMessages: 5, archive: ArchiveConfiguration())
        try await withArchive(binary, configuration) { bus, store, _ in
            for (round, name) in ["MESH_ARCHIVE", "MESH_ARCHIVE_2", "MESH_ARCHIVE"].enumerated() {
                if round > 0 {
                    try await store.jetStream.deleteStream("MESH_EVENTS")
                    _ = try await store.open(PersistentEventBus.Configuration(maximumMessages: 5))
                    try await bus.emit(try EventType("user.r\(round)"))
                    let former = try #require(try await store.archiveReport())
                    #expect(!former.isOfPresentStream)
                    #expect(try await bus.history(limit: 100).map(\.event.type) == [try EventType("user.r\(round)")])
                    #expect(try await store.open(configuration).archive == .created)
                    #expect(try await store.open(configuration).archive == .found)
                    // The server begins to fill it a moment later.
                    try await caughtUp(store)
                }
                // What the stream drops before it is copied is in no archive.
                for _ in 0..<2 {
                    for _ in 0..<4 { try await bus.emit(try EventType("user.r\(round)")) }
                    try await caughtUp(store)
                }
                let report = try #require(try await store.archiveReport())
                #expect(report.stream.state.name == name)
                let found = try await bus.history(limit: 100)
                #expect(found.map(\.sequence) == Array(1...(round > 0 ? 9 : 8)))
                #expect(Set(found.map(\.event.type)) == [try EventType("user.r\(round)")])
                #expect(try await bus.history(EventHistory.Query(limit: 100, end: .oldest)).events == found)
            }
            let former = try await JetStreamStore(store.jetStream.connection, streamName: "MESH_ARCHIVE_2").report()
            #expect(former.subjects["events.user.r1"] == 9)
        }
    }

    @Test("purging deletes from both, and what is purged does not come back", arguments: NATSServers.all)
    func purge(binary: NATSServers.Binary) async throws {
        let configuration = PersistentEventBus.Configuration(maximumMessages: 5, archive: ArchiveConfiguration())
        try await withArchive(binary, configuration) { bus, store, _ in
            for number in 0..<12 {
                try await bus.emit(try EventType(number.isMultiple(of: 2) ? "user.a" : "user.b"))
                // What the stream drops before it is copied is in no archive.
                if number % 4 == 3 { try await caughtUp(store) }
            }
            #expect(try await bus.purge(matching: "user.a") == 6)
            #expect(try await bus.history().map(\.sequence) == [2, 4, 6, 8, 10, 12])
            #expect(try await bus.purge(matching: .all) == 6)
            try await bus.emit("user.c")
            try await caughtUp(store)
            #expect(try await bus.history().map(\.sequence) == [13])
        }
    }

    @Test("its limits can be changed, and it is created for that when there is none", arguments: NATSServers.all)
    func limits(binary: NATSServers.Binary) async throws {
        try await withArchive(binary) { bus, store, _ in
            try await bus.emit("user.a")
            let month = ArchiveConfiguration.keeping(.seconds(30 * 86_400))
            try await store.updateArchive(month)
            #expect(try await store.archiveReport()?.limits == month)
            // Opening leaves the limits of an archive that exists.
            #expect(try await store.open(Self.archived).archive == .found)
            #expect(try await store.archiveReport()?.limits == month)
            try await store.jetStream.deleteStream("MESH_ARCHIVE")
            #expect(try await store.archiveReport() == nil)
            #expect(try await bus.history().count == 1)
            try await store.updateArchive(ArchiveConfiguration(maximumAge: nil, maximumMessagesOfType: nil))
            let limits = try #require(try await store.archiveReport()?.limits)
            #expect(limits.maximumAge == nil && limits.maximumMessagesOfType == nil)
            #expect(limits.maximumMessages == 500_000)
        }
    }

    @Test(
        "who asks for no archive, or only for one with a new stream, leaves a Go mesh as it is",
        arguments: NATSServers.all
    )
    func unasked(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let store = JetStreamStore(try await connect(server))
            #expect(try await store.open(.init()).archive == nil)
            #expect(try await store.open(.init(archive: .init(creation: .withStream))).archive == nil)
            #expect(try await store.jetStream.streamNames() == ["MESH_EVENTS"])
        }
    }

    @Test("a server that cannot fill one says so; the stream is open nevertheless", arguments: NATSServers.all)
    func oldServer(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let store = JetStreamStore(try await connect(server))
            guard let hindrance = await store.archiveHindrance else { return }
            #expect(hindrance.contains("2.11.5"), "\(hindrance)")
            let opening = try await store.open(Self.archived)
            #expect(opening.created && opening.archive == .unavailable(hindrance))
            #expect(try await store.jetStream.streamNames() == ["MESH_EVENTS"])
            let error = await #expect(throws: MeshEventsError.self) {
                try await store.updateArchive(ArchiveConfiguration())
            }
            #expect(error?.message == hindrance)
        }
    }

    @Test("a stream of that name that is no archive is neither read nor touched", arguments: NATSServers.all)
    func foreign(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let store = JetStreamStore(try await connect(server))
            for name in ArchiveConfiguration.streamNames(for: "MESH_EVENTS") {
                _ = try await store.jetStream.createStream(StreamConfiguration(name: name, subjects: ["other.\(name)"]))
            }
            guard case .unavailable? = try await store.open(Self.archived).archive else {
                Issue.record("there is no room for an archive")
                return
            }
            #expect(try await store.archive(ofStreamCreated: store.state().created) == nil)
            #expect(
                try await store.jetStream.streamNames().sorted() == ["MESH_ARCHIVE", "MESH_ARCHIVE_2", "MESH_EVENTS"]
            )
        }
    }
}

extension StreamConfiguration {
    /// This configuration with further fields.
    fileprivate func with(_ fields: [String: JetStreamValue]) -> StreamConfiguration {
        StreamConfiguration(fields: self.fields.merging(fields) { $1 })
    }
}
