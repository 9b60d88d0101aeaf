import MeshConcurrency
import MeshEvents
import MeshEventsTesting
import Testing

/// The history of a stream that has dropped events which its archive has.
struct HistoryArchiveTests {
    /// A stream, its archive, and a stream that has dropped nothing.
    struct Bench {
        let stream: ArchivedStore
        let everything: InMemoryStore
        let bus: PersistentEventBus
        let clock: Locked<Int64>

        /// - Parameters:
        ///   - kept: how many events the stream keeps.
        ///   - first: the first number whose event is in the archive.
        init(keeping kept: Int, archivedFrom first: Int = 0) async throws {
            let clock = Locked<Int64>(0)
            self.clock = clock
            let configuration = InMemoryMesh.Configuration(
                now: { Timestamp(nanosecondsSinceEpoch: clock.withLock { $0 } * 1_000_000_000) }
            )
            let mesh = InMemoryMesh(configuration)
            everything = InMemoryStore(InMemoryMesh(configuration))
            stream = ArchivedStore(InMemoryStore(mesh), archive: everything)
            _ = try await everything.open(.init(maximumAge: nil, maximumMessages: nil))
            bus = try await PersistentEventBus.open(
                transport: InMemoryTransport(mesh),
                store: stream,
                node: "n",
                configuration: .init(maximumAge: nil, maximumMessages: kept)
            )
        }

        /// Stores events, one a second.
        func emit(_ numbers: Range<Int>) async throws {
            for number in numbers {
                clock.withLock { $0 = Int64(number) + 1 }
                let type = ["user.a", "user.b", "node.health"][number % 3]
                let payload = Array(#"{"type":"\#(type)","node":"n","data":{"i":\#(number)}}"#.utf8)
                for store in [stream.store, everything] {
                    _ = try await store.append(
                        subject: "events.\(type)",
                        payload: payload,
                        messageID: "\(number)",
                        deadline: .seconds(1)
                    )
                }
            }
        }
    }

    @Test("every query gets what a stream that has dropped nothing would give, page by page")
    func queries() async throws {
        let bench = try await Bench(keeping: 40)
        try await bench.emit(0..<100)
        let reference = EventHistory(store: bench.everything)
        func time(_ second: Int64) -> Timestamp { Timestamp(nanosecondsSinceEpoch: second * 1_000_000_000) }
        let patterns: [[EventPattern]] = [[.all], ["user.a"], ["user.a", "user.*"], ["node.*", "user.b"]]
        for end in [EventHistory.End.newest, .oldest] {
            for pattern in patterns {
                for (since, until) in [(nil, nil), (time(10), time(90)), (time(70), nil), (nil, time(30))] {
                    for limit in [1, 7, 39, 40, 41, 60, 61, 1_000] {
                        var query: EventHistory.Query? = EventHistory.Query(
                            matching: pattern,
                            since: since,
                            until: until,
                            limit: limit,
                            end: end
                        )
                        while let asked = query {
                            var plain = asked
                            plain.created = nil
                            let found = try await bench.bus.history(asked)
                            let expected = try await reference.page(plain)
                            #expect(found.events == expected.events, "\(asked)")
                            // The last page may have a cursor that leads to an empty one.
                            query = asked.next(after: found)
                            if expected.cursor == nil, query != nil {
                                #expect(try await bench.bus.history(query ?? asked).events == [], "\(asked)")
                                query = nil
                            }
                        }
                    }
                }
            }
        }
    }

    @Test("the sequence of all events begins in the archive", arguments: [1, 9, 1_000])
    func sequence(pageSize: Int) async throws {
        let bench = try await Bench(keeping: 40)
        try await bench.emit(0..<100)
        var numbers: [UInt64] = []
        for try await stored in bench.bus.historyReader.events(pageSize: pageSize) { numbers.append(stored.sequence) }
        #expect(numbers == Array(1...100))
    }

    @Test("what the stream drops while it is read comes from the archive", arguments: [10, 1_000])
    func dropping(pageSize: Int) async throws {
        let bench = try await Bench(keeping: 40)
        try await bench.emit(0..<30)
        let next = Locked(30)
        bench.stream.whenRead { [bench] in
            let begin = next.withLock { next in
                defer { next += 25 }
                return next
            }
            if begin < 200 { try await bench.emit(begin..<begin + 25) }
        }
        var numbers: [UInt64] = []
        for try await stored in bench.bus.historyReader.events(pageSize: pageSize) { numbers.append(stored.sequence) }
        #expect(numbers == Array(1...30))
        let all = try await bench.bus.history(limit: 1_000)
        #expect(all.prefix(30).map(\.sequence) == Array(1...30))
    }

    @Test("few events at the end are read without a look at the archive")
    func cheap() async throws {
        let bench = try await Bench(keeping: 40)
        try await bench.emit(0..<100)
        _ = try await bench.bus.history(limit: 40)
        #expect(bench.stream.looks == 0)
        _ = try await bench.bus.history(EventHistory.Query(limit: 10, end: .oldest, after: 70))
        #expect(bench.stream.looks == 0)
        _ = try await bench.bus.history(limit: 41)
        #expect(bench.stream.looks == 1)
    }

    @Test("without an archive, the history is that of the stream", arguments: [EventHistory.End.newest, .oldest])
    func none(end: EventHistory.End) async throws {
        let bench = try await Bench(keeping: 40)
        bench.stream.hide()
        try await bench.emit(0..<100)
        let page = try await bench.bus.history(EventHistory.Query(limit: 1_000, end: end))
        #expect(page.events.map(\.sequence) == Array(61...100))
    }

    @Test("a longer time than a week has room for more events")
    func limits() {
        let week = ArchiveConfiguration()
        #expect(ArchiveConfiguration.keeping(.seconds(3_600)).maximumMessagesOfType == week.maximumMessagesOfType)
        let month = ArchiveConfiguration.keeping(.seconds(30 * 86_400))
        #expect((month.maximumMessagesOfType ?? 0) >= 20_000 * 30 / 7 && (month.maximumMessages ?? 0) >= 2_000_000)
        #expect(ArchiveConfiguration.keeping(nil).maximumAge == nil)
        #expect(throws: MeshEventsError.self) { try ArchiveConfiguration(maximumAge: .zero).validate() }
        #expect(throws: MeshEventsError.self) { try ArchiveConfiguration(maximumMessagesOfType: 0).validate() }
    }
}

/// A store with an archive.
final class ArchivedStore: ForwardingStore, ArchivingEventStore, StreamAdministration {
    let store: InMemoryStore
    private let archive: InMemoryStore
    private let state = Locked((looks: 0, isHidden: false, onRead: (@Sendable () async throws -> Void)?.none))

    init(_ store: InMemoryStore, archive: InMemoryStore) {
        self.store = store
        self.archive = archive
    }

    /// How often the archive was looked for.
    var looks: Int { state.withLock { $0.looks } }

    func hide() { state.withLock { $0.isHidden = true } }

    /// Runs `body` before each reading from the stream.
    func whenRead(_ body: @escaping @Sendable () async throws -> Void) { state.withLock { $0.onRead = body } }

    func archive(ofStreamCreated created: Timestamp?) async throws(MeshEventsError) -> (any EventStore)? {
        let isHidden = state.withLock { state in
            state.looks += 1
            return state.isHidden
        }
        return isHidden ? nil : archive
    }

    func willRead(_ limit: Int) async { try? await state.withLock { $0.onRead }?() }
}
