import Foundation
import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import NATSClient
import Synchronization
import TestSupport
import Testing

@Suite("Faults of the machine", .serialized, .timeLimit(.minutes(10)))
struct MachineFaultTests {
    @Test("the store's disk is full: emits fail in time, what was acknowledged stays, with room again it goes on")
    func fullDisk() async throws {
        let disk = try SmallDisk(megabytes: 24)
        try await withServer(NATSServers.current, .init(storeDirectory: disk.path + "/store")) { server in
            let emitter = try await openBus(at: server.url, acknowledgementDeadline: .seconds(3))
            let live = try await emitter.bus.subscribe(to: "events.user.alive")
            var (sent, acknowledged) = (0, 0)
            func emit(_ count: Int) async throws {
                for event in numbered(sent..<sent + count, padding: 1_000) {
                    try await emitter.emit(event)
                    acknowledged += 1
                }
            }
            try await emit(500)
            sent = 500
            let ballast = try disk.fill()
            let padding = String(repeating: "x", count: 1_000)
            var failures: [MeshEventsError] = []
            let start = ContinuousClock.now
            // What the server has allocated already may hold some more.
            while failures.count < 3 {
                do throws(MeshEventsError) {
                    try await emitter.emit("user.chaos", ["n": .init(sent), "pad": .init(padding)])
                    acknowledged += 1
                } catch {
                    failures.append(error)
                }
                sent += 1
                #expect(ContinuousClock.now - start < .seconds(60), "\(acknowledged) acknowledged on a full disk")
                if ContinuousClock.now - start > .seconds(60) { break }
            }
            let codes: Set<MeshEventsError.Code> = [.storageFull, .persistenceUnavailable, .timeout, .serverRefused]
            for failure in failures { #expect(codes.contains(failure.code), "\(failure)") }
            // Who needs no store is not concerned.
            try emitter.bus.emit("user.alive")
            let event = try await withDeadline(.seconds(10), "a plain event") {
                var iterator = live.makeAsyncIterator()
                return try await iterator.next()
            }
            #expect(event != nil)
            try disk.empty()
            // A nats-server whose writes fail gives up JetStream until it is restarted.
            try await server.restart()
            try await eventually("the store to work again") {
                do throws(MeshEventsError) {
                    try await emitter.emit("user.chaos", ["n": .init(sent)])
                    return true
                } catch {
                    return false
                }
            }
            acknowledged += 1
            sent += 1
            let witness = try await Witness(try await openBus(at: server.url, node: "reader"))
            let stored = try await witness.catchUp(JetStreamStore(try await connect(server)))
            let numbers = witness.numbers.filter { $0 >= 0 }
            #expect(Set(numbers).count == numbers.count, "none is stored twice")
            #expect(numbers.count >= acknowledged, "what was acknowledged is stored")
            var row = ChaosRow("disk full, then with room again")
            (row.sent, row.acknowledged, row.stored, row.received) = (sent, acknowledged, stored, numbers.count)
            row.note = "\(ballast >> 20) MiB of ballast; refused with \(Set(failures.map(\.code.description)).sorted())"
            row.report()
            await witness.stop()
        }
    }

    @Test("the clock is stepped an hour ahead and two back: nothing is lost, no deadline moves, the times follow it")
    func clockStepped() async throws {
        try await withServer(NATSServers.current, .init(syncsEachWrite: false)) { server in
            let count = ChaosScale.number(600, full: 6_000)
            let witness = try await Witness(try await openBus(at: server.url, node: "reader"))
            let emitter = try FixtureProcess(
                "chaos-fixture",
                ["clock", server.url, "\(count)"],
                environment: ["PATH": "/usr/bin:/bin"]
            )
            let steps = figures(try await emitter.line("result ", within: .seconds(120)))
            #expect(try await emitter.wait() == 0)
            let stored = try await witness.catchUp(JetStreamStore(try await connect(server)))
            #expect(witness.numbers == Array(0..<count))
            try #require(steps.count == 3)
            #expect(steps[0] == count)
            // Seen in the times of the events: an hour ahead, then two back. Else nothing was tested.
            let events = try await openBus(at: server.url, node: "r").history(limit: count).map(\.event.timestamp)
            let jumps = zip(events, events.dropFirst()).map { $1.duration(since: $0) / .seconds(1) }
            #expect(jumps.contains { $0 > 3_000 } && jumps.contains { $0 < -6_000 }, "\(jumps.max() ?? 0)")
            #expect(steps[1] < 5_000, "no emit took as long as the clock was moved: \(steps[1]) ms")
            #expect((250...5_000).contains(steps[2]), "a time-out of 300 ms took \(steps[2]) ms")
            var row = ChaosRow("clock stepped by +1 h and −2 h")
            (row.sent, row.acknowledged, row.stored, row.received) = (count, steps[0], stored, witness.count)
            row.note = "slowest emit \(steps[1]) ms"
            row.report()
            await witness.stop()
        }
    }
}

/// The numbers in a line.
private func figures(_ line: String) -> [Int] { line.split(separator: " ").compactMap { Int($0) } }
