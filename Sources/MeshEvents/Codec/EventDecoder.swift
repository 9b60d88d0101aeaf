import MeshJSON
import MeshLogging

/// Reads events from messages, leniently as the mesh's contract says, in one scan and in place.
///
/// - Members may come in any order and with any JSON white space; unknown ones are ignored; of a repeated one, the last
///   counts.
/// - A type that is missing, empty or breaks the rules of ``EventType`` is taken from the subject; a missing node is
///   empty; a timestamp that is missing or bad is the time the message was received; missing data is `null`. (So the
///   `{"node":"X","event":"reconnect"}` that a Go node sends on `events.node.joined` is an event.)
/// - A surrogate escape without its partner is accepted; in type and node it reads as U+FFFD, in data it stays as it
///   is. Data keeps its text except for white space between tokens.
/// - Malformed, and thrown as ``MalformedEvent``: not JSON, not an object, `type` or `node` not strings, `data` neither
///   object nor null, invalid UTF-8, deeper than 128 levels; also no valid type in either place, and a type that
///   differs from the subject's: permissions are about subjects, so an emitter must not send a type on the subject of
///   another.
/// - Malformed too is a server's answer to a request whose reply subject is an event's. Such an answer is an object
///   with none of the four members, or with only a type, which begins with `io.nats.jetstream.`.
///
/// A decoder remembers the types and nodes that it has read: keep one per subscription.
public struct EventDecoder: Sendable {
    private var types = RecentValues<EventType>()
    private var nodes = RecentValues<String>()
    private var second = RecentSecond()

    /// Creates a decoder.
    public init() {}

    /// Decodes one message; allocates the data's text, and the type or node when it is a new one.
    ///
    /// - Parameters:
    ///   - subject: the message's whole subject.
    ///   - payload: the message's payload.
    ///   - received: when it arrived, or was stored; evaluated only when the message has no usable timestamp.
    /// - Throws: ``MalformedEvent``.
    public mutating func decode(
        subject: RawSpan,
        payload: RawSpan,
        received: @autoclosure () -> Timestamp
    ) throws(MalformedEvent) -> Event {
        // The spans keep the bytes valid until this returns.
        let (subject, payload) = (subject.withUnsafeBytes { $0 }, payload.withUnsafeBytes { $0 })
        return try decodeBytes(subject, payload, received)
    }

    package mutating func decode(
        subject: UnsafeRawBufferPointer,
        payload: UnsafeRawBufferPointer,
        received: @autoclosure () -> Timestamp
    ) throws(MalformedEvent) -> Event {
        try decodeBytes(subject, payload, received)
    }

    // Inlined into both, so that neither makes another call.
    @inline(__always)
    private mutating func decodeBytes(
        _ subject: UnsafeRawBufferPointer,
        _ payload: UnsafeRawBufferPointer,
        _ received: () -> Timestamp
    ) throws(MalformedEvent) -> Event {
        let envelope: EventEnvelope
        do throws(EventEnvelope.Failure) {
            envelope = try EventEnvelope(payload)
        } catch {
            throw MalformedEvent(subject: subject, payload: payload, reason: error.description)
        }
        guard let type = eventType(envelope.type, payload, subject) else {
            let reason = "neither 'type' nor the subject holds a valid event type"
            throw MalformedEvent(subject: subject, payload: payload, reason: reason)
        }
        guard Self.agrees(type, with: subject) else {
            let reason = "'type' differs from the subject's type; permissions apply to subjects"
            throw MalformedEvent(subject: subject, payload: payload, reason: reason)
        }
        let node = envelope.node.map { name($0, payload) } ?? ""
        let timestamp = envelope.timestamp.flatMap { time($0, payload) } ?? received()
        let data = envelope.data.map { data in
            EventData(
                scanned: UnsafeRawBufferPointer(rebasing: payload[data]),
                isCompact: envelope.dataIsCompact,
                depth: envelope.dataDepth
            )
        }
        return Event(type, node: node, timestamp: timestamp, data: data ?? .null)
    }

    /// Decodes one message.
    ///
    /// - Throws: `malformedEvent`, with a ``MalformedEvent`` as the underlying error.
    public static func decode(
        subject: String,
        payload: [UInt8],
        received: Timestamp
    ) throws(MeshEventsError) -> Event {
        let result = subject.withBytes { subject in
            payload.withUnsafeBytes { payload -> Result<Event, MalformedEvent> in
                var decoder = EventDecoder()
                do throws(MalformedEvent) {
                    let subject = UnsafeRawBufferPointer(subject)
                    return .success(try decoder.decode(subject: subject, payload: payload, received: received))
                } catch {
                    return .failure(error)
                }
            }
        }
        switch result {
        case .success(let event): return event
        case .failure(let error): throw MeshEventsError(.malformedEvent, error.description, underlying: error)
        }
    }

    private static func bytes(
        _ span: EventEnvelope.StringSpan,
        _ payload: UnsafeRawBufferPointer
    ) -> UnsafeBufferPointer<UInt8> {
        UnsafeRawBufferPointer(rebasing: payload[span.range]).assumingMemoryBound(to: UInt8.self)
    }

    private mutating func eventType(
        _ span: EventEnvelope.StringSpan?,
        _ payload: UnsafeRawBufferPointer,
        _ subject: UnsafeRawBufferPointer
    ) -> EventType? {
        if let span {
            let bytes = Self.bytes(span, payload)
            if span.hasEscapes {
                let unescaped = JSONText.string(bytes, hasEscapes: true)
                if let type = unescaped.withBytes({ rememberedType($0) }) { return type }
            } else if let type = rememberedType(bytes) {
                return type
            }
        }
        let prefix = SubjectRules.prefix.utf8
        let bytes = subject.assumingMemoryBound(to: UInt8.self)
        guard bytes.starts(with: prefix), UTF8Validation.isValid(bytes) else { return nil }
        return rememberedType(UnsafeBufferPointer(rebasing: bytes.dropFirst(prefix.count)))
    }

    /// Whether the type is that of the subject; true as well for a subject outside `events.`.
    @inline(__always)
    private static func agrees(_ type: EventType, with subject: UnsafeRawBufferPointer) -> Bool {
        let prefix = SubjectRules.prefix.utf8
        let bytes = subject.assumingMemoryBound(to: UInt8.self)
        let isSame = type.withBytes { type in
            bytes.count == prefix.count + type.count
                && type.hasSameBytes(as: UnsafeBufferPointer(rebasing: bytes[prefix.count...]))
        }
        return isSame || !bytes.starts(with: prefix)
    }

    @inline(__always)
    private mutating func rememberedType(_ bytes: UnsafeBufferPointer<UInt8>) -> EventType? {
        types.value(
            for: bytes,
            matches: { $0.withBytes { $0.hasSameBytes(as: bytes) } },
            make: { EventType(bytes: bytes) }
        )
    }

    @inline(__always)
    private mutating func name(_ span: EventEnvelope.StringSpan, _ payload: UnsafeRawBufferPointer) -> String {
        let bytes = Self.bytes(span, payload)
        if span.hasEscapes { return JSONText.string(bytes, hasEscapes: true) }
        // Strings of up to 15 bytes need no allocation, so remembering them saves nothing.
        if bytes.count <= 15 { return String(decoding: bytes, as: UTF8.self) }
        let node = nodes.value(
            for: bytes,
            matches: { $0.withBytes { $0.hasSameBytes(as: bytes) } },
            make: { String(decoding: bytes, as: UTF8.self) }
        )
        return node ?? ""
    }

    @inline(__always)
    private mutating func time(_ span: EventEnvelope.StringSpan, _ payload: UnsafeRawBufferPointer) -> Timestamp? {
        let bytes = Self.bytes(span, payload)
        if span.hasEscapes { return try? Timestamp(rfc3339: JSONText.string(bytes, hasEscapes: true)) }
        return second.timestamp(bytes)
    }
}

/// Reads timestamps and remembers the last second: successive events mostly differ in the fraction only.
private struct RecentSecond: Sendable {
    /// The bytes of `2026-11-24T09:04:34`, as three words that overlap.
    private var text: (UInt64, UInt64, UInt64) = (0, 0, 0)
    private var nanoseconds: Int64 = 0

    /// The time that these bytes spell; `nil` when they are no time.
    @inline(__always)
    mutating func timestamp(_ bytes: UnsafeBufferPointer<UInt8>) -> Timestamp? {
        // The form with a fraction and in UTC, `2026-11-24T09:04:34.01671002Z`.
        guard bytes.count >= 22, bytes.count <= Timestamp.maximumLength, let start = bytes.baseAddress,
            start[19] == UInt8(ascii: "."), start[bytes.count &- 1] == UInt8(ascii: "Z"),
            let fraction = Self.fraction(start, count: bytes.count &- 21)
        else { return try? Timestamp(bytes: bytes) }
        let raw = UnsafeRawPointer(start)
        let second = (
            raw.loadUnaligned(as: UInt64.self), raw.loadUnaligned(fromByteOffset: 8, as: UInt64.self),
            raw.loadUnaligned(fromByteOffset: 11, as: UInt64.self)
        )
        if second == text { return Timestamp(nanosecondsSinceEpoch: nanoseconds &+ fraction) }
        return remember(second, fraction, bytes)
    }

    @inline(never)
    private mutating func remember(
        _ second: (UInt64, UInt64, UInt64),
        _ fraction: Int64,
        _ bytes: UnsafeBufferPointer<UInt8>
    ) -> Timestamp? {
        guard let timestamp = try? Timestamp(bytes: bytes) else { return nil }
        let start = timestamp.nanosecondsSinceEpoch &- fraction
        // Not a leap second, whose fraction is dropped, and not near the ends of a timestamp's range.
        if bytes[17] < UInt8(ascii: "6"), start.isMultiple(of: 1_000_000_000), start >= 0, start < 1 << 62 {
            text = second
            nanoseconds = start
        }
        return timestamp
    }

    /// Up to nine digits behind the point, in nanoseconds.
    @inline(__always)
    private static func fraction(_ start: UnsafePointer<UInt8>, count: Int) -> Int64? {
        var nanoseconds: Int64 = 0
        for offset in 20..<20 &+ count {
            let digit = start[offset] &- UInt8(ascii: "0")
            guard digit <= 9 else { return nil }
            nanoseconds = nanoseconds &* 10 &+ Int64(digit)
        }
        for _ in count..<9 { nanoseconds &*= 10 }
        return nanoseconds
    }
}

/// Remembers values made from bytes that repeat (types, names of nodes), so that each is made once.
///
/// A value's slot is a hash of its bytes; a new value replaces the one in its slot. Holds at most 64 values of at most
/// 256 bytes each.
private struct RecentValues<Value: Sendable>: Sendable {
    private static var slots: Int { 64 }
    private static var maximumLength: Int { 256 }

    private var values: [Value?] = Array(repeating: nil, count: Self.slots)

    /// The value for these bytes: a remembered one that `matches`, else what `make` makes.
    @inline(__always)
    mutating func value(
        for bytes: UnsafeBufferPointer<UInt8>,
        matches: (Value) -> Bool,
        make: () -> Value?
    ) -> Value? {
        let slot = Self.slot(bytes)
        if let value = values[slot], matches(value) { return value }
        let made = make()
        if bytes.count <= Self.maximumLength { values[slot] = made }
        return made
    }

    @inline(__always)
    private static func slot(_ bytes: UnsafeBufferPointer<UInt8>) -> Int {
        var hash: UInt64 = UInt64(truncatingIfNeeded: bytes.count)
        if let start = bytes.baseAddress.map(UnsafeRawPointer.init) {
            let count = bytes.count
            if count >= 8 {
                hash ^= start.loadUnaligned(as: UInt64.self) &* 0x9E37_79B9_7F4A_7C15
                hash ^= (start + (count - 8)).loadUnaligned(as: UInt64.self) &* 0xC2B2_AE3D_27D4_EB4F
            } else {
                for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x9E37_79B9_7F4A_7C15 }
            }
        }
        hash &*= 0x9E37_79B9_7F4A_7C15
        return Int(truncatingIfNeeded: hash &>> 58)
    }
}

/// A message on an event's subject that is not an event.
public struct MalformedEvent: Error, Sendable, Hashable, CustomStringConvertible {
    /// How much of the payload is kept, in bytes.
    public static let maximumPrefix = 256

    /// The message's subject; bytes that are not UTF-8 show as U+FFFD.
    public let subject: String
    /// What is wrong with it.
    public let reason: String
    /// The beginning of the payload, at most ``maximumPrefix`` bytes.
    public let payloadPrefix: [UInt8]
    /// The size of the whole payload, in bytes.
    public let payloadCount: Int

    /// Creates the report on a message.
    package init(subject: UnsafeRawBufferPointer, payload: UnsafeRawBufferPointer, reason: String) {
        self.subject = String(decoding: subject, as: UTF8.self)
        self.reason = reason
        payloadPrefix = Array(payload.prefix(Self.maximumPrefix))
        payloadCount = payload.count
    }

    /// The subject and the reason, without the payload.
    public var description: String {
        "malformed event on \(SubjectRules.quoted(subject)) (\(payloadCount) bytes): \(reason)".harmless
    }
}
