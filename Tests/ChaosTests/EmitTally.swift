import MeshEvents
import MeshEventsNATS
import TestSupport
import Testing

/// What an emitter of numbered events was told of each, to be compared with what the stream has.
struct EmitTally {
    /// The acknowledged ones, and the sequence at which each is said to be.
    private(set) var acknowledged: [Int: UInt64] = [:]
    /// Those that are said not to be stored.
    private(set) var refused: [Int] = []
    /// Those that may be stored, as the error says.
    private(set) var unknown: [Int] = []
    private var next = 0

    /// How many were handed over.
    var sent: Int { next }

    /// The errors that say that the event is not stored.
    private static let refusals: Set<MeshEventsError.Code> = [
        .storageFull, .payloadTooLarge, .streamNotFound, .streamMismatch, .permissionDenied, .duplicateMessageID,
    ]

    /// Emits the next event and waits for what becomes of it; the error, when there is one.
    @discardableResult
    mutating func emit(on bus: PersistentEventBus, padding: Int = 0) async -> MeshEventsError? {
        let number = next
        next += 1
        do throws(MeshEventsError) {
            acknowledged[number] = try await bus.emit(numbered(number..<number + 1, padding: padding)[0]).sequence
            return nil
        } catch {
            if Self.refusals.contains(error.code) { refused.append(number) } else { unknown.append(number) }
            return error
        }
    }

    /// Emits events, each with so many bytes beside its number, as one batch; the error, when there is one.
    @discardableResult
    mutating func emitBatch(on bus: PersistentEventBus, paddings: [Int]) async -> MeshEventsError? {
        let first = next
        next += paddings.count
        let events = paddings.enumerated().flatMap { index, padding in
            numbered(first + index..<first + index + 1, padding: padding)
        }
        do throws(BatchEmitError) {
            for (index, position) in try await bus.emit(contentsOf: events).enumerated() {
                acknowledged[first + index] = position.sequence
            }
            return nil
        } catch {
            for index in paddings.indices {
                if let position = error.stored[index] {
                    acknowledged[first + index] = position.sequence
                } else if index < error.sent {
                    unknown.append(first + index)
                } else {
                    refused.append(first + index)
                }
            }
            return error.cause
        }
    }

    /// Compares it with the stream and makes a row of it. Fails the test when an acknowledged event is lost, one is stored
    /// twice, or what was said of one is not so: the sequence of an acknowledged one, or that another is not stored.
    func row(_ fault: String, _ store: JetStreamStore, note: String = "") async throws -> ChaosRow {
        var stored: [Int: [UInt64]] = [:]
        let history = EventHistory(store: store, logger: quiet)
        for try await event in history.events(matching: ["events.user.chaos"]) {
            stored[event.event.data["n"]?.int ?? -1, default: []].append(event.sequence)
        }
        let lost = acknowledged.keys.filter { stored[$0] == nil }
        let twice = stored.filter { $0.value.count > 1 }
        let misplaced = acknowledged.filter { !(stored[$0.key] ?? [$0.value]).contains($0.value) }
        let denied = refused.filter { stored[$0] != nil }
        #expect(lost.isEmpty, "\(fault): acknowledged and not in the stream")
        #expect(twice.isEmpty, "\(fault): stored twice")
        #expect(misplaced.isEmpty, "\(fault): acknowledged at another sequence")
        #expect(denied.isEmpty, "\(fault): stored although refused")
        #expect(acknowledged.count + refused.count + unknown.count == sent, "\(fault): each is told of once")
        #expect(stored.keys.allSatisfy { (0..<sent).contains($0) }, "\(fault): others' events")
        var row = ChaosRow(fault)
        (row.sent, row.acknowledged) = (sent, acknowledged.count)
        row.stored = stored.values.reduce(0) { $0 + $1.count }
        row.received = stored.count
        let untrue = misplaced.count + denied.count
        row.note =
            "\(lost.count) lost, \(twice.count) twice, report \(untrue == 0 ? "true" : "false of \(untrue)"); "
            + "\(refused.count) refused, \(unknown.count) unknown" + (note.isEmpty ? "" : "; \(note)")
        return row
    }
}
