import MeshEvents

/// A stream with JetStream's rules: sequences from 1, one message per message id, limits that drop the oldest.
struct InMemoryStream: Sendable {
    /// How long a message id is remembered by default, as in nats-server.
    private static let duplicateWindow = Duration.seconds(120)
    private static let events = Array("events.>".utf8)

    var configuration: PersistentEventBus.Configuration
    /// When it was created.
    let created: Timestamp
    /// The durable subscriptions, by name.
    var durables: [String: InMemoryDurable] = [:]
    private var messages: [StoredMessage] = []
    private var head = 0
    private var bytes: UInt64 = 0
    private(set) var lastSequence: UInt64 = 0
    private var known: [String: UInt64] = [:]
    private var knownInOrder: [(id: String, at: Timestamp)] = []
    private var knownHead = 0

    init(_ configuration: PersistentEventBus.Configuration, created: Timestamp) {
        self.configuration = configuration
        self.created = created
    }

    /// The stored messages, oldest first.
    var kept: ArraySlice<StoredMessage> { messages[head...] }

    /// The stored messages from a sequence on, oldest first.
    func kept(from sequence: UInt64) -> ArraySlice<StoredMessage> {
        var (low, high) = (kept.startIndex, kept.endIndex)
        // A purge of some subjects leaves holes between the sequences.
        while low < high {
            let middle = low + (high - low) / 2
            if kept[middle].sequence < sequence { low = middle + 1 } else { high = middle }
        }
        return kept[low...]
    }

    /// The sequence of the newest message of a subject; 0 when there is none.
    func lastSequence(of subject: [UInt8]) -> UInt64 {
        kept.last { $0.subject.utf8.elementsEqual(subject) }?.sequence ?? 0
    }

    /// Whether no message with this id is known.
    func isNew(_ messageID: String?) -> Bool { messageID.map { known[$0] == nil } ?? true }

    /// Stores a message when its subject belongs to the stream; `nil` when it does not.
    mutating func append(_ message: InMemoryMesh.Message, messageID: String?, now: Timestamp) -> StoredPosition? {
        guard SubjectMatcher.matches(pattern: Self.events, subject: message.subject) else { return nil }
        expire(now)
        if let messageID, let sequence = known[messageID] {
            return StoredPosition(stream: configuration.streamName, sequence: sequence, isDuplicate: true)
        }
        lastSequence += 1
        if let messageID {
            known[messageID] = lastSequence
            knownInOrder.append((messageID, now))
        }
        let stored = StoredMessage(
            subject: String(decoding: message.subject, as: UTF8.self),
            payload: message.payload,
            sequence: lastSequence,
            // The clock of a stream never goes back.
            storedAt: max(now, kept.last?.storedAt ?? now),
            headers: message.headers.withUnsafeBytes { MessageHeaders(block: $0) }
        )
        messages.append(stored)
        bytes += Self.size(stored)
        if let maximum = configuration.maximumMessages, maximum > 0 {
            while messages.count - head > maximum { dropFirst() }
        }
        if let maximum = configuration.maximumBytes {
            while head < messages.count, bytes > UInt64(maximum) { dropFirst() }
        }
        return StoredPosition(stream: configuration.streamName, sequence: lastSequence, isDuplicate: false)
    }

    /// Removes message ids and messages that are too old.
    mutating func expire(_ now: Timestamp) {
        while knownHead < knownInOrder.count,
            knownInOrder[knownHead].at.adding(duplicateWindow) <= now
        {
            known[knownInOrder[knownHead].id] = nil
            knownHead += 1
        }
        if knownHead >= 1024, knownHead * 2 >= knownInOrder.count {
            knownInOrder.removeSubrange(..<knownHead)
            knownHead = 0
        }
        guard let age = configuration.maximumAge, age > .zero else { return }
        while head < messages.count, messages[head].storedAt.adding(age) <= now { dropFirst() }
    }

    /// How long message ids are remembered: by default two minutes, or the maximum age where that is shorter.
    private var duplicateWindow: Duration {
        if let window = configuration.duplicateWindow { return window }
        guard let age = configuration.maximumAge, age > .zero else { return Self.duplicateWindow }
        return min(age, Self.duplicateWindow)
    }

    var state: StreamState {
        StreamState(
            name: configuration.streamName,
            messages: UInt64(messages.count - head),
            bytes: bytes,
            firstSequence: kept.first?.sequence ?? lastSequence + 1,
            lastSequence: lastSequence,
            created: created
        )
    }

    /// How this stream differs from another configuration.
    func differences(from asked: PersistentEventBus.Configuration) -> [StoreOpening.Difference] {
        func age(_ duration: Duration?) -> String {
            guard let duration else { return "0" }
            let (seconds, attoseconds) = duration.components
            return "\(Int128(seconds) * 1_000_000_000 + Int128(attoseconds / 1_000_000_000))"
        }
        func count(_ number: Int?) -> String { "\(number ?? -1)" }
        let fields = [
            ("max_age", age(asked.maximumAge), age(configuration.maximumAge)),
            ("max_bytes", count(asked.maximumBytes), count(configuration.maximumBytes)),
            ("max_msgs", count(asked.maximumMessages), count(configuration.maximumMessages)),
            ("num_replicas", "\(asked.replicas)", "\(configuration.replicas)"),
            ("storage", asked.storage.rawValue, configuration.storage.rawValue),
        ]
        return fields.filter { $0.1 != $0.2 }.map { StoreOpening.Difference(field: $0.0, asked: $0.1, found: $0.2) }
    }

    /// Deletes the messages that match; returns how many there were.
    mutating func purge(_ pattern: [UInt8]) -> UInt64 {
        let before = messages.count - head
        messages = kept.filter { !SubjectMatcher.matches(pattern: pattern, subject: Array($0.subject.utf8)) }
        head = 0
        bytes = messages.reduce(0) { $0 + Self.size($1) }
        return UInt64(before - messages.count)
    }

    /// How many messages there are of each subject.
    var subjects: [String: UInt64] {
        kept.reduce(into: [:]) { $0[$1.subject, default: 0] += 1 }
    }

    private mutating func dropFirst() {
        bytes -= Self.size(messages[head])
        head += 1
        if head >= 1024, head * 2 >= messages.count {
            messages.removeSubrange(..<head)
            head = 0
        }
    }

    private static func size(_ message: StoredMessage) -> UInt64 {
        UInt64(message.subject.utf8.count + message.payload.count)
    }
}
