import MeshEvents
import MeshEventsTesting
import TestSupport
import Testing

@testable import MeshMonitoring

/// Several keepers that do not know of each other, over one table. Their writes arrive late, in any order, or with an
/// answer that is lost; keepers end in the middle and begin again. Whatever is saved at any moment, with the events after
/// the checkpoint it gives the state of the whole stream.
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
    }

    private final class World {
        let table = InMemoryStateStore()
        let events: [StoredEvent]
        /// How many of the events are stored.
        var head = 0
        var keepers = Array(repeating: Keeper(), count: 3)
        var flights: [Flight] = []
        var checks = 0
        var conflicts = 0
        var generator: SeededGenerator
        private let now = ContinuousClock.now

        init(seed: UInt64) {
            generator = SeededGenerator(seed: seed)
            events = History.random(70, &generator)
        }

        func pick(_ count: Int) -> Int { Int.random(in: 0..<count, using: &generator) }

        var stream: StreamState {
            StreamState(name: "S", messages: 0, bytes: 0, firstSequence: 1, lastSequence: UInt64(head))
        }

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

        /// One keeper alone, with what the others have left behind.
        func settle() async throws {
            for number in keepers.indices { keepers[number].ledger = nil }
            while !flights.isEmpty { try await land(flights.remove(at: pick(flights.count))) }
            head = events.count
            try await begin(0)
            while let position = keepers[0].ledger?.position, position < UInt64(head) { advance(0) }
            repeat {
                take(0)
                while !flights.isEmpty { try await land(flights.remove(at: pick(flights.count))) }
                try await checkpoint(0)
                let saved = try await SavedMesh.load(from: table, of: stream, limits: .init())
                if saved?.checkpoint.sequence == UInt64(head) { return }
            } while keepers[0].ledger != nil
            Issue.record("a keeper that is alone was taken for one of several")
        }

        private func begin(_ number: Int) async throws {
            let saved = try await SavedMesh.load(from: table, of: stream, limits: .init())
            let revisions =
                if let saved { saved.revisions } else { try await SavedMesh.claim(table, for: "\(number)") }
            keepers[number].session += 1
            keepers[number].ledger = KeeperLedger(
                saved,
                revisions: revisions,
                position: 0,
                limits: .init(),
                pace: .init()
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
            do {
                var revision: UInt64?
                if let value = write.value {
                    revision = try await table.write(value, to: write.key, expected: write.revision)
                } else if let present = write.revision {
                    try await table.delete(write.key, expected: present)
                }
                let isAnswered = pick(6) != 0
                tell { isAnswered ? $0.wrote(write, revision: revision, now: now) : $0.failed(write, now: now) }
            } catch {
                guard error.code == .conflict else { throw error }
                conflicts += 1
                let entry = try await table.entry(write.key)
                tell { ledger in
                    ledger.adopt(entry, key: write.key)
                    ledger.failed(write, now: now)
                }
            }
        }

        private func checkpoint(_ number: Int) async throws {
            guard let ledger = keepers[number].ledger, let sequence = ledger.saved else { return }
            let checkpoint = Checkpoint(
                stream: "S",
                created: nil,
                sequence: sequence,
                at: ledger.mesh.now,
                keeper: "\(number)",
                nodes: ledger.savedNodes
            )
            do {
                let revision = try await table.write(
                    checkpoint.json,
                    to: StateKey.checkpoint,
                    expected: ledger.revisions[StateKey.checkpoint]
                )
                keepers[number].ledger?.checkpointed(revision)
            } catch {
                guard error.code == .conflict else { throw error }
                // As a session, which ends.
                keepers[number].ledger = nil
            }
            guard let saved = try await SavedMesh.load(from: table, of: stream, limits: .init()) else { return }
            checks += 1
            let tail = events.prefix(head).dropFirst(Int(saved.checkpoint.sequence))
            let isSame = fold(tail, into: saved.mesh) == fold(events.prefix(head))
            #expect(isSame, "checkpoint \(saved.checkpoint.sequence) of \(head)")
        }
    }

    @Test(arguments: 0..<150 as Range<UInt64>)
    func whatIsSavedIsNeverWrong(seed: UInt64) async throws {
        let world = World(seed: seed)
        try await world.table.create()
        for _ in 0..<600 { try await world.step() }
        try await world.settle()
        #expect(world.checks > 0)
        #expect(world.conflicts > 0)
    }
}
