import Synchronization
import Tracing

/// Encoding an event and publishing it on the transport.
extension EventBus {
    /// Encodes an event on the stack, or on the heap when it is too large, and publishes it. Takes the parts of the
    /// event, since copying an `Event` costs time.
    func send(_ type: EventType, node: String, data: EventData) throws(MeshEventsError) {
        guard isPlain else { return try sendInFull(type, node: node, data: data) }
        let timestamp = Timestamp.now
        let isSent = try encodeOnStack(type) { buffer throws(MeshEventsError) in
            try encoder.encode(type, node: node, timestamp: timestamp, data: data, into: buffer)
        }
        if !isSent { try sendLarge(Event(type, node: node, timestamp: timestamp, data: data)) }
    }

    /// Encodes and publishes a payload without building an ``EventData`` first.
    func send<Payload: EventPayload>(_ payload: Payload) throws(MeshEventsError) {
        let type = Payload.eventType
        guard isPlain else { return try sendInFull(type, node: node, data: payload.eventData()) }
        let timestamp = Timestamp.now
        let isSent = try encodeOnStack(type) { buffer throws(MeshEventsError) in
            try encoder.encode(payload, node: node, timestamp: timestamp, into: buffer)
        }
        if !isSent { try sendLarge(Event(type, node: node, timestamp: timestamp, data: payload.eventData())) }
    }

    /// - Returns: whether the event fitted and was sent. `encode` returns the number of bytes; `nil` when they do not
    ///   fit.
    @inline(__always)
    private func encodeOnStack(
        _ type: EventType,
        _ encode: (UnsafeMutableRawBufferPointer) throws(MeshEventsError) -> Int?
    ) throws(MeshEventsError) -> Bool {
        guard !isClosed else { throw Self.closedError }
        return try withUnsafeTemporaryAllocation(byteCount: 1024, alignment: 8) {
            buffer throws(MeshEventsError) -> Bool in
            guard let length = try encode(buffer) else { return false }
            try publish(type.subject, UnsafeRawBufferPointer(rebasing: buffer[..<length]))
            return true
        }
    }

    private func sendLarge(_ event: Event) throws(MeshEventsError) {
        let bytes = try encoder.encode(event)
        let result = bytes.withUnsafeBytes { payload in
            Result { () throws(MeshEventsError) in try publish(event.type.subject, payload) }
        }
        try result.get()
    }

    private func publish(_ subject: String, _ payload: UnsafeRawBufferPointer) throws(MeshEventsError) {
        var subject = subject
        let result = subject.withUTF8 { subject -> Result<Void, MeshEventsError> in
            Result { () throws(MeshEventsError) in
                try transport.publish(OutgoingMessage(subject: UnsafeRawBufferPointer(subject), payload: payload))
            }
        }
        try result.get()
    }

    // MARK: With metrics, a span or header fields

    /// Emits an event of a bus that is not ``isPlain``.
    @inline(never)
    private func sendInFull(_ type: EventType, node: String, data: EventData) throws(MeshEventsError) {
        let span = tracing?.startEmit(type.subject, node: node)
        defer { span?.end() }
        do throws(MeshEventsError) {
            guard !isClosed else { throw Self.closedError }
            let event = Event(type, node: node, timestamp: .now, data: data)
            let payload = try encoder.encode(event)
            let headers = try headers(of: EncodedEvent(event, payload: payload), in: span)
            try publish(type.subject, payload, headers)
        } catch {
            metrics?.failed(error)
            span?.failed(error)
            throw error
        }
        metrics?.emitted.add(1, ordering: .relaxed)
    }

    private func publish(
        _ subject: String,
        _ payload: [UInt8],
        _ headers: MessageHeaders
    ) throws(MeshEventsError) {
        var subject = subject
        let result = subject.withUTF8 { subject in
            payload.withUnsafeBytes { payload in
                Result { () throws(MeshEventsError) in
                    let subject = UnsafeRawBufferPointer(subject)
                    try transport.publish(OutgoingMessage(subject: subject, payload: payload, headers: headers))
                }
            }
        }
        try result.get()
    }
}
