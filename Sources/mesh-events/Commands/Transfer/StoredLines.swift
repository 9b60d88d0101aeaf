import MeshEvents

/// The messages of a stream after a sequence. They show which lines an interrupted import stored without noting it.
struct StoredLines {
    private static let read = (messages: 4_096, bytes: 4 << 20)

    private var counts: [StableHash: Int] = [:]

    /// Creates an empty value.
    init() {}

    /// Reads the stream's messages after a sequence.
    init(_ store: some EventStore, behind sequence: UInt64) async throws {
        var next = sequence.nextSequence
        while true {
            let part = try await store.first(
                Self.read.messages,
                maximumBytes: Self.read.bytes,
                matching: .all,
                from: .sequence(next),
                timeout: .seconds(30)
            )
            for message in part.messages { counts[Self.hash(message.subject, message.payload), default: 0] += 1 }
            let mayHaveMore = part.isCutShort || part.messages.count == Self.read.messages
            guard mayHaveMore, let last = part.messages.last, last.sequence < .max else { return }
            next = last.sequence + 1
        }
    }

    /// Whether the stream has this message; each of several equal messages counts once.
    mutating func take(_ message: PendingMessage) -> Bool {
        guard !counts.isEmpty else { return false }
        let hash = Self.hash(message.subject, message.payload)
        guard let count = counts[hash] else { return false }
        counts[hash] = count > 1 ? count - 1 : nil
        return true
    }

    private static func hash(_ subject: String, _ payload: [UInt8]) -> StableHash {
        var hash = StableHash()
        hash.add(subject.utf8)
        hash.add(payload)
        return hash
    }
}
