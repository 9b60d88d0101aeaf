import MeshConcurrency
import MeshEvents
import MeshEventsTesting
import TestSupport
import Testing

@testable import MeshMonitoring

/// Several keepers that do not know of each other, over one table. Their writes arrive late, in any order, or with an
/// answer that is lost; keepers end in the middle and begin again. Whatever is saved at any moment, with the events after
/// the checkpoint, or all when there is none, it gives the state of the whole stream. That holds too when one keeper works
/// at a time, and something else spoils entries, deletes them, and writes earlier ones once more.
@Suite struct KeeperModelTests {
    /// A write under way: who knows of its answer, and whether the answer arrives.
    private struct Flight {
        let keeper: Int
        let session: Int
        let write: KeeperLedger.Write
    }

    private struct Keeper {
        var ledger: KeeperLedger?
        var session = 0
        var table: TalliedTable
    }

    /// A store with the state of a stream.
    private final class Stream: ForwardingStore {
        let store = InMemoryStore(InMemoryMesh())
        let head = Locked<UInt64>(0)

        func state() async throws(MeshEventsError) -> StreamState {
            StreamState(name: "S", messages: 0, bytes: 0, firstSequence: 1, lastSequence: head.withLock { $0 })
        }
    }

    private final class World {
        /// Loses the answers of writes while it is told so.
        let table = LossyTable()
        let stream = Stream()
        let events: [StoredEvent]
        /// Whether several keepers work at a time.
        let isShared: Bool
        /// How many of the events are stored.
        var head = 0 {
            didSet { stream.head.withLock { [head] in $0 = UInt64(head) } }
        }
        var keepers: [Keeper]
        /// Earlier entries.
        var recorded: [StateEntry] = []
        var flights: [Flight] = []
        var checks = 0
        var conflicts = 0
        var generator: SeededGenerator
        private let now = ContinuousClock.now

        init(seed: UInt64, isShared: Bool) {
            self.isShared = isShared
            generator = SeededGenerator(seed: seed)
            keepers = (0..<3).map { [table] _ in Keeper(table: TalliedTable(table)) }
            events = History.random(70, &generator)
        }

        func pick(_ count: Int) -> Int { Int.random(in: 0..<count, using: &generator) }

        func load() async throws -> SavedMesh { try await SavedMesh.load(from: table, of: stream, limits: .init()) }

        func fold(_ events: some Sequence<StoredEvent>, into state: MeshState = MeshState()) -> MeshState {
            var state = state
            for event in events { state.apply(event) }
            state.advance(to: Mesh.time(100_000))
            return state
        }

        func step() async throws {
            let number = pick(keepers.count)
            switch pick(9) {
            case 0, 1: head = min(head + 1, events.count)
            case 2 where keepers[number].ledger == nil: try await begin(number)
            case 2, 3, 4: advance(number)
            case 5: take(number)
            case 6, 7: if !flights.isEmpty { try await land(flights.remove(at: pick(flights.count))) }
            default: try await checkpoint(number)
            }
            if pick(40) == 0 { keepers[number].ledger = nil }
        }

        /// Something else writes to the table.
        func attack() async throws {
            let entries = table.memory.entries
            if !entries.isEmpty { recorded.append(entries[pick(entries.count)]) }
            let keys = entries.map(\.key) + ["node.stranger", "other"]
            let key = keys[pick(keys.count)]
            let present = entries.first { $0.key == key }?.revision
            switch pick(3) {
            case 0: _ = try await table.memory.write([], to: key, expected: present)
            case 1: if let present { try await table.memory.delete(key, expected: present) }
            default:
                guard let old = recorded.isEmpty ? nil : recorded[pick(recorded.count)] else { return }
                let present = entries.first { $0.key == old.key }?.revision
                _ = try await table.memory.write(old.value, to: old.key, expected: present)
            }
            try await check()
        }

        /// One keeper alone, with what the others have left behind.
        func settle() async throws {
            for number in keepers.indices { keepers[number].ledger = nil }
            while !flights.isEmpty { try await land(flights.remove(at: pick(flights.count))) }
            head = events.count
            try await begin(0)
            while let position = keepers[0].ledger?.position, position < UInt64(head) { advance(0) }
            for _ in 0..<1_000 {
                take(0)
                while !flights.isEmpty { try await land(flights.remove(at: pick(flights.count))) }
                try await checkpoint(0)
                if try await load().checkpoint?.sequence == UInt64(head) { return }
                guard keepers[0].ledger != nil else {
                    Issue.record("a keeper that is alone was taken for one of several")
                    return
                }
            }
            Issue.record(
                "a keeper that is alone does not save all: \(keepers[0].ledger?.saved?.sequence ?? 0) of \(head)"
            )
        }

        private func begin(_ number: Int) async throws {
            if !isShared { for number in keepers.indices { keepers[number].ledger = nil } }
            try await renew(number)
            var saved = try await load()
            if saved.checkpoint == nil {
                saved = try await SavedMesh.claim(
                    keepers[number].table,
                    of: stream,
                    for: "\(number)",
                    limits: .init()
                )
            }
            keepers[number].session += 1
            keepers[number].ledger = KeeperLedger(saved, of: try await stream.state(), pace: .init())
        }

        /// An own write, from which on those of others are noticed.
        private func renew(_ number: Int) async throws {
            let present = try await table.entry(StateKey.keeper)?.revision
            let lease = Array("\(number)".utf8)
            let keeper = keepers[number].table
            keeper.begin(
                after: try await keeper.write(lease, signature: nil, to: StateKey.keeper, expected: present)
            )
        }

        private func advance(_ number: Int) {
            for _ in 0...pick(6) {
                guard let position = keepers[number].ledger?.position, position < UInt64(head) else { return }
                keepers[number].ledger?.apply(events[Int(position)], now: now)
            }
        }

        private func take(_ number: Int) {
            let writes = keepers[number].ledger?.takeDue(1 + pick(4), all: true, now: now) ?? []
            flights += writes.map { Flight(keeper: number, session: keepers[number].session, write: $0) }
        }

        private func land(_ flight: Flight) async throws {
            let write = flight.write
            // Of a keeper that has ended only the write arrives.
            let isHeard = keepers[flight.keeper].session == flight.session && keepers[flight.keeper].ledger != nil
            func tell(_ body: (inout KeeperLedger) -> Void) {
                if isHeard, var ledger = keepers[flight.keeper].ledger {
                    body(&ledger)
                    keepers[flight.keeper].ledger = ledger
                }
            }
            let target: any StateStore = isHeard ? keepers[flight.keeper].table : table
            table.losesAnswers.withLock { $0 = pick(6) == 0 }
            defer { table.losesAnswers.withLock { $0 = false } }
            do throws(MeshEventsError) {
                var revision: UInt64?
                if let value = write.value {
                    let expected = write.revision
                    revision = try await target.write(value, signature: nil, to: write.key, expected: expected)
                } else if let present = write.revision {
                    _ = try await target.delete(write.key, expected: present)
                }
                tell { $0.wrote(write, revision: revision, now: now) }
            } catch {
                guard error.code == .conflict else { return tell { $0.failed(write, now: now) } }
                conflicts += 1
                let entry = try await table.entry(write.key)
                tell { ledger in
                    ledger.adopt(entry, key: write.key)
                    ledger.failed(write, now: now)
                }
            }
        }

        private func checkpoint(_ number: Int) async throws {
            if keepers[number].ledger != nil, keepers[number].table.hasOtherWrites { try await reconcile(number) }
            guard let ledger = keepers[number].ledger, let position = ledger.saved else { return }
            let checkpoint = Checkpoint(
                position: position,
                at: ledger.mesh.now,
                keeper: "\(number)",
                keys: ledger.savedKeys.keys,
                entries: ledger.savedKeys.entries
            )
            do throws(MeshEventsError) {
                let revision = try await keepers[number].table.write(
                    checkpoint.json,
                    signature: nil,
                    to: StateKey.checkpoint,
                    expected: ledger.revisions[StateKey.checkpoint]
                )
                keepers[number].ledger?.checkpointed(revision)
            } catch {
                guard error.code == .conflict else { throw error }
                try await reconcile(number)
            }
            try await check()
        }

        /// As a session, which ends when another keeper has written the checkpoint.
        private func reconcile(_ number: Int) async throws {
            try await renew(number)
            guard let known = keepers[number].ledger?.revisions else { return }
            let entries = table.memory.entries
            let changed = entries.filter { known[$0.key] != $0.revision }
            let checkpoint = changed.first { $0.key == StateKey.checkpoint }
            if let checkpoint, Checkpoint.isKeepers(checkpoint.value) {
                keepers[number].ledger = nil
            } else if let checkpoint {
                keepers[number].ledger?.checkpointed(checkpoint.revision)
            } else if !entries.contains(where: { $0.key == StateKey.checkpoint }) {
                keepers[number].ledger?.checkpointed(nil)
            }
            let present = Set(entries.map(\.key))
            for key in keepers[number].ledger?.reconcile(present: present, changed: changed, now: now) ?? [] {
                try await table.remove(key)
            }
        }

        private func check() async throws {
            let saved = try await load()
            if saved.checkpoint != nil { checks += 1 }
            let tail = events.prefix(head).dropFirst(Int(saved.checkpoint?.sequence ?? 0))
            let isSame = fold(tail, into: saved.mesh) == fold(events.prefix(head))
            #expect(isSame, "checkpoint \(saved.checkpoint?.sequence ?? 0) of \(head)")
        }
    }

    /// Loses the answers of writes while it is told so.
    private final class LossyTable: ForwardingStateStore {
        let memory = InMemoryStateStore()
        var table: any StateStore { memory }
        let losesAnswers = Locked(false)

        private func answer(_ revision: UInt64) throws(MeshEventsError) -> UInt64 {
            guard losesAnswers.withLock({ $0 }) else { return revision }
            throw MeshEventsError(.timeout, "the answer is lost", isRetriable: true)
        }

        func write(
            _ value: [UInt8],
            signature: String?,
            to key: String,
            expected: UInt64?
        ) async throws(MeshEventsError) -> UInt64 {
            try answer(try await table.write(value, signature: signature, to: key, expected: expected))
        }

        func delete(_ key: String, expected: UInt64) async throws(MeshEventsError) -> UInt64 {
            try answer(try await table.delete(key, expected: expected))
        }
    }

    @Test(arguments: 0..<150 as Range<UInt64>)
    func whatIsSavedIsNeverWrong(seed: UInt64) async throws {
        let world = World(seed: seed, isShared: true)
        try await world.table.create()
        for _ in 0..<600 { try await world.step() }
        try await world.settle()
        #expect(world.checks > 0)
        #expect(world.conflicts > 0)
    }

    @Test(arguments: 0..<150 as Range<UInt64>)
    func whatOthersWriteMakesNothingWrong(seed: UInt64) async throws {
        let world = World(seed: seed, isShared: false)
        try await world.table.create()
        for number in 0..<600 {
            try await world.step()
            if number % 20 == 19 { try await world.attack() }
        }
        try await world.settle()
        #expect(world.checks > 0)
    }
}
