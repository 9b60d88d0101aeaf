import Tracing

/// How an event becomes a message for the store.
extension PersistentEventBus {
    /// An event as it goes to the store: encoded, with a message id of its own.
    ///
    /// - Parameter time: when it happened.
    package func pending(_ event: Event, at time: Timestamp = .now) throws(MeshEventsError) -> PendingMessage {
        let messageID = messageIDs.next()
        guard let tracing = bus.tracing else {
            return try pending(event, at: time, messageID, headers: MessageHeaders())
        }
        // It is sent later, or among many others: the span is about handing it over.
        let span = tracing.startEmit(event.subject, node: event.node.isEmpty ? node : event.node, messageID: messageID)
        defer { span.end() }
        return try pending(event, at: time, messageID, headers: tracing.headers(of: span))
    }

    /// Emitting when somebody wants to know about it.
    func emitObserved(_ event: Event) async throws(MeshEventsError) -> StoredPosition {
        let messageID = messageIDs.next()
        let span = bus.tracing?.startEmit(
            event.subject,
            node: event.node.isEmpty ? node : event.node,
            messageID: messageID
        )
        defer { span?.end() }
        let message: PendingMessage
        do throws(MeshEventsError) {
            let headers = span.flatMap { bus.tracing?.headers(of: $0) } ?? MessageHeaders()
            message = try pending(event, at: .now, messageID, headers: headers)
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
        headers: MessageHeaders
    ) throws(MeshEventsError) -> PendingMessage {
        guard !bus.isClosed else { throw EventBus.closedError }
        let stamped = bus.stamped(event, at: time)
        let payload = try encoder.encode(stamped)
        let subject = event.type.subject
        return PendingMessage(
            subject: subject,
            payload: payload,
            messageID: messageID,
            headers: try bus.complete(headers, stamped, payload, id: bus.cloudEventIDs == nil ? nil : messageID)
        )
    }
}
