import MeshConcurrency
import MeshEventsTesting
import Testing

@testable import MeshEvents

/// Numbers at their limits, from a store that answers anything.
@Suite("Numbers at their limits", .timeLimit(.minutes(1)))
struct SequenceLimitTests {
    private static let last: UInt64 = .max

    @Test("a history up to the last sequence of 64 bits", arguments: [EventHistory.End.newest, .oldest])
    func history(end: EventHistory.End) async throws {
        let history = EventHistory(store: EndStore())
        for limit in [1, 2, 3, 16_385, .max] {
            for bound: UInt64? in [nil, 0, 1, .max - 1, .max] {
                for patterns: [EventPattern] in [[.all], ["events.user.a", "events.user.b"]] {
                    let before = EventHistory.Query(matching: patterns, limit: limit, end: end, before: bound)
                    _ = try await history.page(before)
                    let after = EventHistory.Query(matching: patterns, limit: limit, end: end, after: bound)
                    var page = try await history.page(after)
                    if let next = after.next(after: page) { page = try await history.page(next) }
                    #expect(page.events.count <= 4)
                }
            }
        }
        let one = try await history.page(EventHistory.Query(limit: 1, end: end))
        #expect(one.events.map(\.sequence) == [end == .newest ? .max : .max - 3])
        var count = 0
        for try await _ in history.events() { count += 1 }
        #expect(count == 4)
    }

    @Test("a replay there, from every beginning")
    func replay() async throws {
        let mesh = InMemoryMesh()
        let bus = try await PersistentEventBus.open(transport: InMemoryTransport(mesh), store: EndStore(), node: "n")
        for start: StreamStart in [
            .beginning, .new, .sequence(0), .sequence(1), .sequence(.max - 1), .sequence(.max),
            .time(Timestamp(nanosecondsSinceEpoch: .min)),
        ] {
            let replay = try await bus.replay(from: start)
            for try await element in replay {
                if case .gap(let gap) = element { #expect(gap.count > 0) }
                if element.event?.sequence ?? .max == .max { break }
            }
            replay.cancel()
        }
    }

    @Test("gaps, delays, times and durations beyond what fits")
    func values() throws {
        #expect(ReplayGap(sequences: 0 ... .max).count == .max)
        #expect(ReplayGap(sequences: 1 ... .max).count == .max)
        #expect(UInt64.max.nextSequence == .max && UInt64(0).nextSequence == 1)
        let steep = RedeliveryDelays(first: .seconds(1), factor: 1e300, maximum: .seconds(300))
        #expect(steep.delay(afterDelivery: .max) == .seconds(300))
        #expect(steep.delay(afterDelivery: 1) == .seconds(1))
        #expect(RedeliveryDelays().delay(afterDelivery: 3) == .seconds(16))
        #expect(RedeliveryDelays().delay(afterDelivery: .min) == .seconds(1))
        #expect(RedeliveryDelays(first: .zero, factor: 1e300, maximum: .zero).delay(afterDelivery: 9) == .zero)
        for duration in [Duration.seconds(Int64.max), .seconds(1e19), .seconds(-1e19), .nanoseconds(Int64.min)] {
            let moved = Timestamp.now.adding(duration)
            #expect(duration < .zero ? moved < .now : moved > .now)
            _ = Timestamp.now.subtracting(duration)
        }
        let error = BatchEmitError(cause: MeshEventsError(.timeout, "late"), stored: [:], sent: -1)
        #expect(error.unconfirmed.isEmpty)
    }

    @Test("configurations beyond what a server can count are refused in a sentence")
    func configurations() async throws {
        for age in [Duration.seconds(1e19), .seconds(9_000_000_001), .zero, .seconds(-1)] {
            let error = #expect(throws: MeshEventsError.self) {
                try PersistentEventBus.Configuration(maximumAge: age).validate()
            }
            #expect(error?.code == .invalidArgument)
            let wait = #expect(throws: MeshEventsError.self) {
                try DurableDefinition(
                    name: "d",
                    pattern: .all,
                    start: .beginning,
                    acknowledgementWait: age,
                    maximumDeliveries: 1
                ).validate()
            }
            #expect(wait?.code == .invalidArgument)
        }
    }
}

/// A stream that holds four messages, the last of which has the last sequence there is.
private struct EndStore: ForwardingStore {
    let store = InMemoryStore()

    private var messages: [StoredMessage] {
        (UInt64.max - 3...UInt64.max).map { sequence in
            StoredMessage(
                subject: sequence % 2 == 0 ? "events.user.a" : "events.user.b",
                payload: Array(#"{"node":"n","data":null}"#.utf8),
                sequence: sequence,
                storedAt: Timestamp(nanosecondsSinceEpoch: 1)
            )
        }
    }

    func append(_ message: PendingMessage, deadline: Duration) async throws(MeshEventsError) -> StoredPosition {
        StoredPosition(stream: "MESH_EVENTS", sequence: .max, isDuplicate: false)
    }

    func state() async throws(MeshEventsError) -> StreamState {
        StreamState(name: "MESH_EVENTS", messages: 4, bytes: .max, firstSequence: .max - 3, lastSequence: .max)
    }

    func newest(
        _ limit: Int,
        maximumBytes: Int,
        matching pattern: EventPattern,
        before: UInt64?,
        timeout: Duration
    ) async throws(MeshEventsError) -> StoredPart {
        let found = messages.filter { message in
            pattern.matches(subject: message.subject) && before.map { message.sequence < $0 } ?? true
        }
        return StoredPart(messages: found.suffix(limit))
    }

    func first(
        _ limit: Int,
        maximumBytes: Int,
        matching pattern: EventPattern,
        from start: StoredPart.Start,
        timeout: Duration
    ) async throws(MeshEventsError) -> StoredPart {
        let found = messages.filter { message in
            guard pattern.matches(subject: message.subject) else { return false }
            switch start {
            case .sequence(let sequence): return message.sequence >= sequence
            case .time(let time): return message.storedAt >= time
            }
        }
        return StoredPart(messages: Array(found.prefix(limit)))
    }

    func follow(
        matching pattern: EventPattern,
        from start: StreamStart,
        timeout: Duration
    ) async throws(MeshEventsError) -> any StoreFollower {
        let next: UInt64 =
            switch start {
            case .beginning, .time: messages[0].sequence
            case .new: .max
            case .sequence(let sequence): max(sequence, 1)
            }
        var progress = ReadingProgress(next: next, end: .max, isExact: start == .sequence(next), matchesAll: true)
        return EndFollower(progress.read(messages, reached: .max, first: messages[0].sequence))
    }
}

/// Hands over what was found, and ends.
private final class EndFollower: StoreFollower {
    private let items: Locked<[FollowedItem]?>

    init(_ items: [FollowedItem]) { self.items = Locked(items.isEmpty ? nil : items) }

    func next(isolation: isolated (any Actor)?) async throws(MeshEventsError) -> [FollowedItem]? {
        items.withLock { items in
            defer { items = nil }
            return items
        }
    }

    func cancel() { items.withLock { $0 = nil } }
}
