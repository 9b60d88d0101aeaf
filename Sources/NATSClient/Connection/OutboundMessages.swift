import NIOCore

/// Messages in wire format, and the offsets at which they may be cut. They are written in pieces, so that what is
/// written between two pieces does not wait for megabytes, and so that a lost connection loses little.
struct OutboundMessages {
    /// Bytes that are written together.
    struct Piece {
        var bytes: ByteBuffer
        /// The number of its last message, counted over all that were ever appended.
        var lastMessage: UInt64
    }

    private struct Cut {
        var offset: Int
        var lastMessage: UInt64
    }

    /// The size of a piece in bytes, about; a single message may be larger.
    static let pieceSize = 64 << 10

    var bytes: ByteBuffer
    /// The number of the last message, among all that were ever appended.
    private(set) var lastMessage: UInt64
    /// In ascending order; no cut at the beginning or the end.
    private var cuts: [Cut] = []
    private var nextCut = Self.pieceSize
    /// Where the messages lie that are dropped when the connection is lost.
    private var perishable: [Range<Int>] = []
    /// How many of `bytes` have been taken in pieces.
    private var taken = 0

    init(_ bytes: ByteBuffer = ByteBuffer(), lastMessage: UInt64 = 0) {
        self.bytes = bytes
        self.lastMessage = lastMessage
    }

    /// How many bytes have not been taken in pieces.
    var readableBytes: Int { bytes.readableBytes - taken }

    /// Notes that a message has been written from `start` on; returns its number.
    @inline(__always)
    mutating func appended(behind start: Int, isPerishable: Bool) -> UInt64 {
        if start >= nextCut { cut(at: start) }
        if isPerishable { perishable.append(start..<bytes.readableBytes) }
        lastMessage += 1
        return lastMessage
    }

    @inline(never)
    private mutating func cut(at offset: Int) {
        cuts.append(Cut(offset: offset, lastMessage: lastMessage))
        nextCut = offset + Self.pieceSize
    }

    /// Takes everything out; later messages are written to `spare`.
    mutating func takeAll(spare: ByteBuffer) -> OutboundMessages {
        guard cuts.isEmpty else {
            defer { self = OutboundMessages(spare, lastMessage: lastMessage) }
            return self
        }
        // This is one piece: its perishable messages are lost with the connection, like the others in it.
        let all = OutboundMessages(bytes, lastMessage: lastMessage)
        bytes = spare
        perishable.removeAll(keepingCapacity: true)
        return all
    }

    /// The next piece; `nil` when there is none.
    mutating func nextPiece() -> Piece? {
        guard readableBytes > 0 else { return nil }
        guard let cut = cuts.first else {
            let rest = bytes.getSlice(at: bytes.readerIndex + taken, length: readableBytes) ?? bytes
            taken = bytes.readableBytes
            return Piece(bytes: rest, lastMessage: lastMessage)
        }
        guard let piece = bytes.getSlice(at: bytes.readerIndex + taken, length: cut.offset - taken) else { return nil }
        cuts.removeFirst()
        taken = cut.offset
        return Piece(bytes: piece, lastMessage: cut.lastMessage)
    }

    /// Drops the messages that belong to a lost connection.
    mutating func dropPerishable() {
        guard !perishable.isEmpty || taken > 0 else { return }
        let (old, all) = (bytes, cuts)
        let ranges = perishable.filter { $0.lowerBound >= taken }
        bytes = ByteBuffer()
        cuts = []
        nextCut = Self.pieceSize
        var (start, dropped, next) = (taken, taken, 0)
        for range in ranges + [old.readableBytes..<old.readableBytes] {
            while next < all.count, all[next].offset <= range.lowerBound {
                let cut = all[next]
                next += 1
                guard cut.offset >= start, cut.offset > dropped else { continue }
                cuts.append(Cut(offset: cut.offset - dropped, lastMessage: cut.lastMessage))
            }
            if let slice = old.getSlice(at: old.readerIndex + start, length: range.lowerBound - start) {
                bytes.writeImmutableBuffer(slice)
            }
            dropped += range.count
            start = range.upperBound
        }
        cuts.removeAll { $0.offset >= bytes.readableBytes }
        nextCut = (cuts.last?.offset ?? 0) + Self.pieceSize
        perishable = []
        taken = 0
    }

    /// Puts back messages that were taken earlier and not written, before these; drops the perishable ones of both.
    mutating func putBack(_ earlier: OutboundMessages) {
        dropPerishable()
        var all = earlier
        all.dropPerishable()
        guard all.readableBytes > 0 else { return }
        let offset = all.readableBytes
        if readableBytes > 0 {
            all.cuts.append(Cut(offset: offset, lastMessage: earlier.lastMessage))
            all.cuts += cuts.map { Cut(offset: $0.offset + offset, lastMessage: $0.lastMessage) }
            all.bytes.writeImmutableBuffer(bytes)
        }
        all.lastMessage = lastMessage
        all.nextCut = (all.cuts.last?.offset ?? 0) + Self.pieceSize
        self = all
    }
}
