import MeshEvents
import MeshEventsNATS
import Synchronization
import TestSupport

/// Follows the stream from its beginning and remembers every event it meets.
final class Witness: Sendable {
    private let state = Mutex<(sequences: [UInt64], numbers: [Int])>(([], []))
    private let following: Task<Void, any Error>

    init(_ bus: PersistentEventBus) async throws {
        let replay = try await bus.replay()
        let (stream, continuation) = AsyncStream.makeStream(of: StoredEvent.self)
        following = Task {
            defer { continuation.finish() }
            for try await element in replay {
                if let event = element.event { continuation.yield(event) }
            }
        }
        Task {
            for await event in stream { add(event) }
        }
    }

    /// The sequences met, in the order of meeting.
    var sequences: [UInt64] { state.withLock { $0.sequences } }
    /// The `n` of each event's data.
    var numbers: [Int] { state.withLock { $0.numbers } }
    /// How many events were met.
    var count: Int { state.withLock { $0.sequences.count } }

    /// Waits until it has met everything that is stored; how many that is.
    func catchUp(_ store: JetStreamStore, within limit: Duration = .seconds(60)) async throws -> Int {
        let last = try await store.state().lastSequence
        try await eventually(within: limit, "the replay to reach \(last); it is at \(sequences.last ?? 0)") {
            sequences.last ?? 0 >= last
        }
        return Int(last)
    }

    func stop() async {
        following.cancel()
        _ = await following.result
    }

    private func add(_ event: StoredEvent) {
        state.withLock { state in
            state.sequences.append(event.sequence)
            state.numbers.append(event.event.data["n"]?.int ?? -1)
        }
    }
}

/// A stream's bus on a connection of its own, to the server or the proxy at an address. The stream keeps everything.
func openBus(
    at address: String,
    node: String = "emitter",
    acknowledgementDeadline: Duration = .seconds(30)
) async throws -> PersistentEventBus {
    try await PersistentEventBus.open(
        transport: NATSTransport(try await connect(at: address)),
        node: node,
        configuration: .init(maximumMessages: nil, acknowledgementDeadline: acknowledgementDeadline),
        logger: quiet
    )
}

/// Numbered events.
func numbered(_ numbers: Range<Int>, padding: Int = 0) -> [Event] {
    let text = JSONValue(String(repeating: "x", count: padding))
    return numbers.map { Event("user.chaos", data: padding > 0 ? ["n": .init($0), "pad": text] : ["n": .init($0)]) }
}
