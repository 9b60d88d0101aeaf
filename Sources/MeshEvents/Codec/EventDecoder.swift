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
        subject: UnsafeRawBufferPointer,
        payload: UnsafeRawBufferPointer,
        received: @autoclosure () -> Timestamp
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
