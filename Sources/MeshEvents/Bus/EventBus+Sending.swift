import Synchronization
import Tracing

/// How an event leaves.
extension EventBus {
    func send(_ type: EventType, node: String, data: EventData) throws(MeshEventsError) {
        guard isObserved else { return try transmit(type, node: node, data: data, headers: [:]) }
        try sendObserved(type, node: node, data: data)
    }

    /// Emitting when somebody wants to know about it.
    private func sendObserved(_ type: EventType, node: String, data: EventData) throws(MeshEventsError) {
        let span = tracing?.startEmit(type.subject, node: node)
        defer { span?.end() }
        do throws(MeshEventsError) {
            let headers = span.flatMap { tracing?.headers(of: $0) } ?? [:]
            try transmit(type, node: node, data: data, headers: headers)
        } catch {
            metrics?.failed(error)
            span?.failed(error)
            throw error
        }
        metrics?.emitted.add(1, ordering: .relaxed)
    }

    /// Encodes on the stack, and on the heap what is too large for that. In parts, since copies of an event cost.
    private func transmit(
        _ type: EventType,
        node: String,
        data: EventData,
        headers: MessageHeaders
    ) throws(MeshEventsError) {
        guard !isClosed else { throw Self.closedError }
        let timestamp = Timestamp.now
        let isSent = try withUnsafeTemporaryAllocation(byteCount: 1024, alignment: 8) {
            buffer throws(MeshEventsError) -> Bool in
            let length = try encoder.encode(type, node: node, timestamp: timestamp, data: data, into: buffer)
            guard let length else { return false }
            try publish(type.subject, UnsafeRawBufferPointer(rebasing: buffer[..<length]), node: node, headers)
            return true
        }
        if isSent { return }
        let bytes = try encoder.encode(Event(type, node: node, timestamp: timestamp, data: data))
        let result = bytes.withUnsafeBytes { payload in
            Result { () throws(MeshEventsError) in try publish(type.subject, payload, node: node, headers) }
        }
        try result.get()
    }

    private func publish(
        _ subject: String,
        _ payload: UnsafeRawBufferPointer,
        node: String,
        _ headers: MessageHeaders
    ) throws(MeshEventsError) {
        var subject = subject
        let result = subject.withUTF8 { subject -> Result<Void, MeshEventsError> in
            Result { () throws(MeshEventsError) in
                let subject = UnsafeRawBufferPointer(subject)
                var headers = headers
                if let signer, node == self.node {
                    headers[SignatureVerification.header] = try signer.sign(subject: subject, payload: payload)
                }
                try transport.publish(OutgoingMessage(subject: subject, payload: payload, headers: headers))
            }
        }
        try result.get()
    }

    /// Adds this node's signature to the header fields of an encoded event, when the bus signs. Events that are emitted
    /// in another node's name are not signed: the signature would say that they are forged.
    func sign(
        _ headers: MessageHeaders,
        subject: String,
        payload: [UInt8],
        node: String
    ) throws(MeshEventsError) -> MessageHeaders {
        guard let signer, node == self.node else { return headers }
        var subject = subject
        let signature = subject.withUTF8 { subject in
            payload.withUnsafeBytes { payload in
                Result { () throws(MeshEventsError) in
                    try signer.sign(subject: UnsafeRawBufferPointer(subject), payload: payload)
                }
            }
        }
        var headers = headers
        headers[SignatureVerification.header] = try signature.get()
        return headers
    }
}
