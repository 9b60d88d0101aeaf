import Dispatch
import EventWork
import MeshEvents
import MeshEventsNATS

/// Several threads that emit on one bus, until the server has it all: nanoseconds an event, all threads together.
struct EmitterMeasures: Sendable {
    private let bus: EventBus
    private let connection: RawConnection
    private let payload: [UInt8]

    init(url: String) async throws {
        bus = EventBus(transport: try await NATSTransport.connect(to: url), node: Work.node)
        connection = try RawConnection(url)
        payload = try Work.payload()
    }

    func emit(_ count: Int, threads: Int) -> Measure {
        {
            let start = now()
            try await Self.onThreads(threads) { try emitAll(count / threads) }
            try await bus.flush(timeout: .seconds(30))
            return [(now() - start) / Double(count / threads * threads)]
        }
    }

    /// The yardstick: the same threads on one connection of libnats.
    func raw(_ count: Int, threads: Int) -> Measure {
        {
            let start = now()
            try await Self.onThreads(threads) { try connection.publish(payload, count: count / threads) }
            try await onThread { try connection.flush() }
            return [(now() - start) / Double(count / threads * threads)]
        }
    }

    private static func onThreads(_ count: Int, _ body: @escaping @Sendable () throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<count { group.addTask { try await onThread(body) } }
            try await group.waitForAll()
        }
    }

    /// On a thread that is not Swift's: waiting for room blocks it, as libnats does.
    private func emitAll(_ count: Int) throws {
        for sequence in 0..<count {
            while true {
                do throws(MeshEventsError) {
                    try bus.emit(.nodeHealth, Work.data(sequence))
                    break
                } catch {
                    guard error.code == .bufferFull else { throw error }
                    let isWritable = DispatchSemaphore(value: 0)
                    Task { [bus] in
                        // An error comes again with the next emit.
                        try? await bus.waitUntilWritable()
                        isWritable.signal()
                    }
                    guard isWritable.wait(timeout: .now() + 30) == .success else {
                        throw BenchmarkError("no room to emit for 30 s")
                    }
                }
            }
        }
    }
}
