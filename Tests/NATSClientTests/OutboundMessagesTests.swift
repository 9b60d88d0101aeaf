import NIOCore
import Testing

@testable import NATSClient

/// Where what waits to be sent may be cut, and what of it outlasts a connection.
struct OutboundMessagesTests {
    private func filled(_ sizes: [Int], perishable: Set<Int> = []) -> OutboundMessages {
        var messages = OutboundMessages()
        for (index, size) in sizes.enumerated() {
            let start = messages.readableBytes
            messages.bytes.writeRepeatingByte(UInt8(index), count: size)
            #expect(messages.appended(behind: start, isPerishable: perishable.contains(index)) == UInt64(index + 1))
        }
        return messages
    }

    private func pieces(_ messages: OutboundMessages) -> [(bytes: [UInt8], last: UInt64)] {
        var messages = messages
        var pieces: [([UInt8], UInt64)] = []
        while let piece = messages.nextPiece() {
            pieces.append((Array(piece.bytes.readableBytesView), piece.lastMessage))
        }
        #expect(messages.readableBytes == 0)
        return pieces
    }

    @Test func `little is one piece, much is cut between messages`() {
        #expect(pieces(filled([10, 20, 30])).map(\.last) == [3])
        let many = filled(Array(repeating: 10_000, count: 100))
        let cut = pieces(many)
        #expect(cut.count > 10)
        #expect(cut.allSatisfy { $0.bytes.count % 10_000 == 0 && $0.bytes.count < 80_000 })
        #expect(cut.flatMap(\.bytes) == Array(many.bytes.readableBytesView))
        #expect(cut.last?.last == 100)
        #expect(pieces(filled([500_000, 500_000])).map(\.last) == [1, 2])
    }

    @Test func `what was not written goes before what came later, without what belonged to the connection`() {
        var taken = filled(Array(repeating: 10_000, count: 30), perishable: [2, 12, 13, 29])
        let first = taken.nextPiece()
        #expect(first?.lastMessage == 7)
        var waiting = OutboundMessages(lastMessage: 30)
        for index in 30..<50 {
            let start = waiting.readableBytes
            waiting.bytes.writeRepeatingByte(UInt8(index), count: 10_000)
            #expect(waiting.appended(behind: start, isPerishable: index == 31) == UInt64(index + 1))
        }
        waiting.putBack(taken)
        let expected = (7..<50).filter { ![12, 13, 29, 31].contains($0) }
        let rest = pieces(waiting)
        #expect(rest.flatMap(\.bytes) == expected.flatMap { [UInt8](repeating: UInt8($0), count: 10_000) })
        #expect(rest.last?.last == 50)
        for (piece, next) in zip(rest, rest.dropFirst()) {
            // A piece's number says which messages are in it or before it.
            #expect(UInt64(piece.bytes.last ?? 0) < piece.last && UInt64(next.bytes.first ?? 0) >= piece.last)
        }
    }

    @Test func `everything taken leaves room for what comes, with the numbers going on`() {
        var messages = filled(Array(repeating: 10_000, count: 10), perishable: [9])
        let all = messages.takeAll(spare: ByteBuffer())
        #expect(all.readableBytes == 100_000)
        #expect(messages.readableBytes == 0)
        messages.bytes.writeRepeatingByte(1, count: 5)
        #expect(messages.appended(behind: 0, isPerishable: false) == 11)
        messages.putBack(all)
        #expect(messages.readableBytes == 90_005)
    }
}
