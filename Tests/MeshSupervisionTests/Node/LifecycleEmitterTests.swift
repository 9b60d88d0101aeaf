import MeshEvents
import MeshEventsTesting
import TestSupport
import Testing

@testable import MeshSupervision

@Suite("Lifecycle events on their way to the store", .timeLimit(.minutes(1)))
struct LifecycleEmitterTests {
    private let outage = MeshEventsError(.timeout, "the server is away", isRetriable: true)

    @Test("events are stored in order, with the time at which they happened, after an outage")
    func outageOfMinutes() async throws {
        let mesh = try await MemoryMesh()
        let emitter = mesh.emitter()
        let running = Task { await emitter.run() }
        mesh.store.fail(with: outage)
        let start = mesh.clock.timestamp
        for number in 0..<100 {
            emitter.emit(ToolStarted(tool: "\(number)"))
            mesh.clock.advance(by: .seconds(6))
        }
        try await eventually("an attempt") { mesh.store.attempts > 0 }
        #expect(emitter.statistics.waiting == 100)
        mesh.store.fail(with: nil)
        try await eventually("the end of the outage") {
            mesh.clock.advance(by: .seconds(1))
            return emitter.statistics.stored == 100
        }
        let events = try await mesh.events()
        #expect(events.map { $0.data["tool"]?.string } == (0..<100).map { "\($0)" })
        #expect(events.map { $0.timestamp.duration(since: start) } == (0..<100).map { .seconds($0 * 6) })
        #expect(events.allSatisfy { $0.node == "attic" })
        #expect(await emitter.drain(timeout: .seconds(5)).isEmpty)
        await running.value
    }

    @Test("behind an outage waits one event that says how things are, the newest, after all others")
    func snapshotsOfAnOutage() async throws {
        let mesh = try await MemoryMesh()
        let emitter = mesh.emitter()
        let running = Task { await emitter.run() }
        mesh.store.fail(with: outage)
        emitter.emit(ToolStarted(tool: "first"))
        try await eventually("an attempt") { mesh.store.attempts > 0 }
        for number in 0..<100 {
            emitter.emit(snapshot: { NodeHealth(status: "\(number)", resources: nil) })
            if number % 10 == 0 { emitter.emit(ToolStarted(tool: "\(number)")) }
        }
        #expect(emitter.statistics.waiting == 12)
        mesh.store.fail(with: nil)
        try await eventually("the end of the outage") {
            mesh.clock.advance(by: .seconds(1))
            return emitter.statistics.waiting == 0
        }
        #expect(emitter.statistics == .init(waiting: 0, stored: 12, overflowed: 0, refused: 0))
        let events = try await mesh.events()
        #expect(events.dropLast().allSatisfy { $0.type == .toolStarted })
        #expect(events.last?.data["status"]?.string == "99")
        #expect(await emitter.drain(timeout: .seconds(5)).isEmpty)
        await running.value
    }

    @Test("an event that says how things are is made after all events before it")
    func snapshot() async throws {
        let mesh = try await MemoryMesh()
        let emitter = mesh.emitter()
        let running = Task { await emitter.run() }
        var calls = 0
        emitter.emit(snapshot: {
            calls += 1
            if calls < 3 { emitter.emit(ToolStarted(tool: "\(calls)")) }
            return NodeHealth(status: "\(calls)", resources: nil)
        })
        try await emitter.flush(timeout: .seconds(20))
        #expect(try await mesh.events().map(\.type) == [.toolStarted, .toolStarted, .nodeHealth])
        #expect(try await mesh.events().last?.data["status"]?.string == "3")
        // It is emitted in the end, whatever comes between.
        emitter.emit(snapshot: {
            emitter.emit(ToolStarted(tool: "again"))
            return NodeHealth(status: "last", resources: nil)
        })
        try await emitter.flush(timeout: .seconds(20))
        #expect(try await mesh.events().last?.data["status"]?.string == "last")
        #expect(await emitter.drain(timeout: .seconds(5)).isEmpty)
        await running.value
    }

    @Test("an event whose acknowledgement was lost is stored once")
    func lostAcknowledgement() async throws {
        let mesh = try await MemoryMesh()
        let emitter = mesh.emitter()
        let running = Task { await emitter.run() }
        mesh.store.loseAcknowledgements(true)
        emitter.emit(ToolStarted(tool: "whisper"))
        try await eventually("a second attempt") {
            mesh.clock.advance(by: .milliseconds(100))
            return mesh.store.attempts > 1
        }
        mesh.store.loseAcknowledgements(false)
        try await eventually("the acknowledgement") {
            mesh.clock.advance(by: .milliseconds(100))
            return emitter.statistics.stored == 1
        }
        #expect(try await mesh.events().count == 1)
        running.cancel()
        await running.value
    }

    @Test("an event whose message id another party has used is stored with another")
    func takenID() async throws {
        let mesh = try await MemoryMesh()
        let emitter = mesh.emitter()
        let running = Task { await emitter.run() }
        mesh.store.takeNextID()
        emitter.emit(ToolStarted(tool: "whisper"))
        try await eventually("the event") {
            mesh.clock.advance(by: .milliseconds(100))
            return emitter.statistics.stored == 1
        }
        #expect(mesh.store.attempts == 2)
        #expect(try await mesh.events("events.tool.started").count == 1)
        running.cancel()
        await running.value
    }

    @Test("a stream that has vanished is created again")
    func vanishedStream() async throws {
        let mesh = try await MemoryMesh()
        let emitter = mesh.emitter()
        let running = Task { await emitter.run() }
        mesh.store.fail(with: MeshEventsError(.streamNotFound, "the stream does not exist"))
        emitter.emit(ToolStarted(tool: "whisper"))
        try await eventually("the event") {
            mesh.clock.advance(by: .seconds(1))
            return emitter.statistics.stored == 1
        }
        running.cancel()
        await running.value
    }

    @Test("an event that can never be stored does not hold up the others")
    func refused() async throws {
        let mesh = try await MemoryMesh()
        let emitter = mesh.emitter()
        let running = Task { await emitter.run() }
        emitter.emit(NodeHealth(status: "online", resources: ["cpu": JSONValue(Double.nan)]))
        emitter.emit(ToolStopped(tool: "whisper", reason: String(repeating: "x", count: 2 << 20)))
        emitter.emit(ToolStarted(tool: "whisper"))
        try await emitter.flush(timeout: .seconds(10))
        #expect(emitter.statistics == .init(waiting: 0, stored: 1, overflowed: 0, refused: 2))
        running.cancel()
        await running.value
    }

    @Test("flush says why events are not stored; drain returns them, and takes no more")
    func drain() async throws {
        let mesh = try await MemoryMesh()
        let emitter = mesh.emitter()
        let running = Task { await emitter.run() }
        mesh.store.fail(with: MeshEventsError(.storageFull, "no room"))
        emitter.emit(ToolStarted(tool: "a"))
        emitter.emit(ToolStarted(tool: "b"))
        try await eventually("an attempt") { mesh.store.attempts > 0 }
        let error = await thrownError { () async throws(MeshEventsError) in
            try await emitter.flush(timeout: .milliseconds(50))
        }
        #expect(error?.code == .timeout)
        #expect(error?.message.contains("no room") == true)
        #expect(error?.message.contains("2 events") == true)
        let rest = await emitter.drain(timeout: .milliseconds(50))
        #expect(rest.map { $0.data["tool"]?.string } == ["a", "b"])
        emitter.emit(ToolStarted(tool: "c"))
        #expect(emitter.statistics == .init(waiting: 2, stored: 0, overflowed: 0, refused: 1))
        running.cancel()
        await running.value
    }

    @Test("too many events cost the oldest, counted")
    func overflow() async throws {
        let mesh = try await MemoryMesh()
        let emitter = mesh.emitter(.init(capacity: 10))
        for number in 0..<25 { emitter.emit(ToolStarted(tool: "\(number)")) }
        #expect(emitter.statistics.overflowed == 15)
        let running = Task { await emitter.run() }
        #expect(await emitter.drain(timeout: .seconds(10)).isEmpty)
        await running.value
        let stored = try await mesh.events().compactMap { $0.data["tool"]?.string }
        #expect(stored == ["0"] + (16..<25).map { "\($0)" })
    }

    @Test("many sources at once: nothing is lost, each in its order")
    func concurrentSources() async throws {
        let mesh = try await MemoryMesh()
        let emitter = mesh.emitter()
        let running = Task { await emitter.run() }
        await withTaskGroup(of: Void.self) { group in
            for source in 0..<8 {
                group.addTask {
                    for number in 0..<100 { emitter.emit(ToolStopped(tool: "\(source)", reason: "\(number)")) }
                }
            }
        }
        #expect(await emitter.drain(timeout: .seconds(30)).isEmpty)
        await running.value
        let events = try await mesh.events()
        #expect(events.count == 800)
        #expect(zip(events, events.dropFirst()).allSatisfy { $0.timestamp < $1.timestamp })
        for source in 0..<8 {
            let numbers = events.filter { $0.data["tool"]?.string == "\(source)" }.map { $0.data["reason"]?.string }
            #expect(numbers == (0..<100).map { "\($0)" })
        }
    }
}
