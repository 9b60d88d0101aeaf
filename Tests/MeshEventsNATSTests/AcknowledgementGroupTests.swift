import MeshEvents
import Testing

@testable import MeshEventsNATS
@testable import NATSClient

@Suite("Messages that share a reply subject")
struct AcknowledgementGroupTests {
    private let timeout = JetStreamError(NATSError(.timeout, "late", isRetriable: true))

    private func position(_ sequence: UInt64, isDuplicate: Bool = false) -> Result<StoredPosition, JetStreamError> {
        .success(StoredPosition(stream: "EVENTS", sequence: sequence, isDuplicate: isDuplicate))
    }

    private func group(of count: Int, first: Int = 10, mayBeStored: Bool = false) -> AcknowledgementGroup {
        var group = AcknowledgementGroup(first: first, limit: max(count, 2), mayBeStored: mayBeStored)
        for _ in 1..<count { group.add() }
        return group
    }

    /// The sequences when all are stored, else how many are not known to be.
    private func describe(_ outcome: AcknowledgementGroup.Outcome?) -> String? {
        switch outcome {
        case .stored(let first, let positions, let isProven):
            "stored from \(first): \(positions.map(\.sequence))\(isProven ? "" : ", to be proven")"
        case .missed(let count, let error): "missed \(count)\(error.map { ": \($0.message)" } ?? "")"
        case .refused(let count, let position): "refused \(count): \(position.sequence)"
        case nil: nil
        }
    }

    private func expectNone(_ outcome: AcknowledgementGroup.Outcome?, _ location: SourceLocation = #_sourceLocation) {
        #expect(describe(outcome) == nil, sourceLocation: location)
    }

    @Test("all are stored when the last acknowledgement has come, in the order of sending")
    func complete() {
        var group = group(of: 3)
        expectNone(group.answer(position(7)))
        expectNone(group.answer(position(8)))
        let outcome1 = group.answer(position(11))
        #expect(describe(outcome1) == "stored from 10: [7, 8, 11]")
    }

    @Test("all have to be proven when one answer had to be")
    func unproven() {
        var group = group(of: 3)
        expectNone(group.answer(position(7)))
        expectNone(group.answer(position(8), isProven: false))
        let outcome = group.answer(position(11))
        #expect(describe(outcome) == "stored from 10: [7, 8, 11], to be proven")
    }

    @Test("it is full at its limit, and takes nobody once answers come")
    func room() {
        var group = group(of: 2)
        #expect(!group.hasRoom)
        group = AcknowledgementGroup(first: 0, limit: 3)
        group.add()
        #expect(group.hasRoom)
        _ = group.answer(position(1))
        #expect(!group.hasRoom)
    }

    @Test("an error among others means that nothing is known of any")
    func error() {
        var group = group(of: 3)
        expectNone(group.answer(position(1)))
        expectNone(group.answer(.failure(timeout)))
        let outcome2 = group.answer(position(2))
        #expect(describe(outcome2) == "missed 3")
    }

    @Test("so do a duplicate among new ones and sequences that do not rise; duplicates alone are in order")
    func order() {
        var mixed = group(of: 2, mayBeStored: true)
        _ = mixed.answer(position(5))
        let outcome3 = mixed.answer(position(4, isDuplicate: true))
        #expect(describe(outcome3) == "missed 2")
        var falling = group(of: 2)
        _ = falling.answer(position(5))
        let outcome4 = falling.answer(position(5))
        #expect(describe(outcome4) == "missed 2")
        var repeated = group(of: 2, mayBeStored: true)
        _ = repeated.answer(position(9, isDuplicate: true))
        let outcome5 = repeated.answer(position(3, isDuplicate: true))
        #expect(describe(outcome5) == "stored from 10: [9, 3]")
    }

    @Test("a duplicate among messages sent for the first time refuses all of them, whatever else comes")
    func stranger() {
        var first = group(of: 3)
        _ = first.answer(position(5))
        _ = first.answer(position(2, isDuplicate: true))
        let outcome = first.answer(position(6))
        #expect(describe(outcome) == "refused 3: 2")
        var failing = group(of: 2)
        _ = failing.answer(position(2, isDuplicate: true))
        let outcome2 = failing.answer(.failure(timeout))
        #expect(describe(outcome2) == "refused 2: 2")
        var ending = group(of: 2)
        _ = ending.answer(position(2, isDuplicate: true))
        #expect(describe(ending.ended(timeout)) == "refused 2: 2")
        var alone = AcknowledgementGroup(first: 4, limit: 1)
        let outcome3 = alone.answer(position(2, isDuplicate: true))
        #expect(describe(outcome3) == "refused 1: 2")
    }

    @Test("messages that may be stored share no group with those that cannot be")
    func kinds() {
        var groups = AcknowledgementGroups()
        let place = groups.add(0, limit: 3)
        _ = groups.opened(.forTests, for: place.group)
        let other = groups.add(1, limit: 3, mayBeStored: true)
        #expect(other.group != place.group && other.reply == nil)
    }

    @Test("an error is a message's own only when there is one message")
    func alone() {
        var alone = AcknowledgementGroup(first: 4, limit: 1)
        let outcome6 = alone.answer(.failure(timeout))
        #expect(describe(outcome6) == "missed 1: \(timeout.message)")
        #expect(describe(alone.ended(timeout)) == "missed 1: \(timeout.message)")
        let perhapsMore = AcknowledgementGroup(first: 4, limit: 2)
        #expect(describe(perhapsMore.ended(timeout)) == "missed 1")
    }

    @Test("a message that was not sent does not count; the others may be complete without it")
    func withdrawn() {
        var groups = AcknowledgementGroups()
        let place = groups.add(0, limit: 3)
        #expect(place.reply == nil)
        let reply = SharedReply.forTests
        let isOpen = groups.opened(reply, for: place.group)
        let second = groups.add(1, limit: 3)
        let early = groups.answer(place.group, position(1))
        #expect(isOpen && second.reply == reply && describe(early) == nil)
        guard case .done(let outcome) = groups.withdraw(from: place.group) else {
            Issue.record("the group has not ended")
            return
        }
        #expect(describe(outcome) == "stored from 0: [1]")
        #expect(groups.reply(of: place.group) == nil)
        let late = groups.answer(place.group, position(2))
        #expect(describe(late) == nil)
    }

    @Test("a message whose group has ended meanwhile is one of the missed")
    func ended() {
        var groups = AcknowledgementGroups()
        let place = groups.add(0, limit: 3)
        let outcome = groups.ended(place.group, timeout)
        #expect(describe(outcome) == "missed 1")
        let isOpen = groups.opened(.forTests, for: place.group)
        #expect(!isOpen)
        guard case .missed = groups.withdraw(from: place.group) else {
            Issue.record("the group has ended")
            return
        }
    }
}

extension SharedReply {
    fileprivate static let forTests = SharedReply(id: 1, generation: 1)
}
