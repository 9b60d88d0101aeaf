import MeshEvents
import Testing

@testable import MeshEventsNATS

@Suite("The search for messages that may be stored")
struct MessageSearchTests {
    private func stream(_ first: UInt64, _ last: UInt64, messages: UInt64) -> StreamState {
        StreamState(name: "S", messages: messages, bytes: 0, firstSequence: first, lastSequence: last)
    }

    private func uncertain(_ subjects: [String], isForgotten: Bool = true) -> [UncertainMessage] {
        subjects.enumerated().map { index, subject in
            let message = PendingMessage(subject: subject, payload: [], messageID: "\(index)")
            let first = FirstSending(after: StreamPosition(0, created: nil))
            return UncertainMessage(message, index, first, isForgotten: isForgotten)
        }
    }

    @Test("it is over with the last id, or at the stream's end")
    func end() {
        var search = MessageSearch(["a", "b"], after: 5, last: 20)
        #expect(search.next == 6 && !search.isOver)
        search.add(([(7, "a"), (8, nil), (9, "a")], 10))
        #expect(search.positions == ["a": 7] && search.next == 10 && !search.isOver)
        var another = search
        search.add(([(12, "b")], 13))
        #expect(search.isOver && search.positions == ["a": 7, "b": 12])
        another.add(([], 21))
        #expect(another.isOver && another.positions == ["a": 7])
        #expect(MessageSearch(["a"], after: 20, last: 20).isOver)
        #expect(MessageSearch(["a"], after: 30, last: 20).next == 1, "a stream that is shorter was made anew")
    }

    @Test("numbers at their limits: it ends, and nothing overflows")
    func limits() {
        var search = MessageSearch(["a"], after: 5, last: .max)
        search.add(([], .max))
        #expect(!search.isOver)
        search.add(([], .max))
        #expect(search.isOver)
        #expect(search.hasGaps(stream(0, .max, messages: 10)) == nil)
        #expect(search.hasGaps(stream(0, .max, messages: .max)) == nil)
        #expect(MessageSearch(["a"], after: 0, last: .max - 1).hasGaps(stream(1, .max, messages: .max)) == false)
    }

    @Test("whether messages are gone: by the stream's state, else by counting")
    func gaps() {
        let search = MessageSearch(["a"], after: 5, last: 20)
        #expect(search.hasGaps(stream(1, 25, messages: 25)) == false)
        #expect(search.hasGaps(stream(6, 25, messages: 20)) == false)
        #expect(search.hasGaps(stream(7, 25, messages: 19)) == true)
        #expect(search.hasGaps(stream(26, 25, messages: 0)) == true)
        #expect(search.hasGaps(stream(1, 19, messages: 19)) == true, "made anew")
        #expect(search.hasGaps(stream(1, 25, messages: 24)) == nil)
        #expect(search.hasGaps(stream(1, .max, messages: 0)) == nil)
        #expect(
            MessageSearch(["a"], after: 20, last: 20).hasGaps(stream(9, 30, messages: 2)) == false,
            "nothing came since"
        )

        var count = MessageSearch([], after: 5, last: 7)
        count.add(([(6, nil)], 7))
        #expect(!count.isOver && count.lacksMessages)
        count.add(([(7, "x")], 8))
        #expect(count.isOver && !count.lacksMessages)
        #expect(!MessageSearch([], after: 7, last: 7).lacksMessages)
    }

    @Test("what is not found where nothing is gone was not stored")
    func absent() {
        let found = FoundMessages(positions: ["1": 9], last: StreamPosition(9, created: nil), hasGaps: false)
        let outcome = found.outcome(of: uncertain(["a", "a", "a"]), subjectLimit: 1)
        #expect(outcome.stored.map(\.index) == [1] && outcome.absent == [0, 2] && !outcome.isUnknown)
    }

    @Test(
        "what so many later ones of its subject have replaced is as good as stored, of anything else nothing is known"
    )
    func replaced() {
        let found = FoundMessages(positions: ["2": 7, "3": 8], last: StreamPosition(9, created: nil), hasGaps: true)
        let all = found.outcome(of: uncertain(["a", "b", "a", "b"]), subjectLimit: 1)
        #expect(all.stored.map(\.index) == [0, 1, 2, 3] && all.stored.map(\.sequence) == [7, 8, 7, 8])
        #expect(!all.isUnknown && all.absent.isEmpty)
        #expect(found.outcome(of: uncertain(["a", "b", "a", "b"]), subjectLimit: 2).isUnknown)
        #expect(found.outcome(of: uncertain(["a", "b", "a", "b"]), subjectLimit: nil).isUnknown)
        #expect(found.outcome(of: uncertain(["c", "b", "a", "b"]), subjectLimit: 1).isUnknown, "none followed it")
        // The server still knows the id of one that was sent lately.
        let recent = found.outcome(of: uncertain(["c", "b", "a", "b"], isForgotten: false), subjectLimit: 1)
        #expect(!recent.isUnknown && recent.stored.map(\.index) == [1, 2, 3])
    }
}
