import Tracing

/// Makes messages for the store from events.
extension PersistentEventBus {
    /// Makes the message that stores an event: encoded, with a message id of its own.
    ///
    /// - Parameter time: when it happened.
    package func pending(_ event: Event, at time: Timestamp = .now) throws(MeshEventsError) -> PendingMessage {
        let messageID = messageIDs.next()
        guard let tracing = bus.tracing else {
            return try pending(event, at: time, messageID, in: nil)
        }
        // The message is sent later, or in a batch: the span covers only making the message.
        let span = tracing.startEmit(event.subject, node: event.node.isEmpty ? node : event.node, messageID: messageID)
        defer { span.end() }
        return try pending(event, at: time, messageID, in: span)
    }

    /// Emits an event of a bus that is not ``EventBus/isPlain``, and waits until it is stored.
    func emitInFull(_ event: Event) async throws(MeshEventsError) -> StoredPosition {
        let messageID = messageIDs.next()
        let span = bus.tracing?.startEmit(
            event.subject,
            node: event.node.isEmpty ? node : event.node,
            messageID: messageID
        )
        defer { span?.end() }
        let message: PendingMessage
        do throws(MeshEventsError) {
            message = try pending(event, at: .now, messageID, in: span)
        } catch {
            metrics?.failed(error)
            span?.failed(error)
            throw error
        }
        do throws(MeshEventsError) {
            return try await store(message)
        } catch {
            span?.failed(error)
            throw error
        }
    }

    private func pending(
        _ event: Event,
        at time: Timestamp,
        _ messageID: String,
        in span: (any Span)?
    ) throws(MeshEventsError) -> PendingMessage {
        guard !bus.isClosed else { throw EventBus.closedError }
        let stamped = bus.stamped(event, at: time)
        let payload = try encoder.encode(stamped)
        return PendingMessage(
            subject: event.type.subject,
            payload: payload,
            messageID: messageID,
            headers: try bus.headers(of: EncodedEvent(stamped, payload: payload, messageID: messageID), in: span)
        )
    }
}
