import Tracing

/// The spans of a bus: one for each event that is emitted, one for each that is handled.
struct EventTracing: Sendable {
    let tracer: any Tracer

    /// Starts a span for an event that is being emitted; a child of the task's span.
    func startEmit(_ subject: String, node: String, messageID: String? = nil) -> any Span {
        let span = tracer.startAnySpan("send \(subject)", ofKind: .producer)
        span.set(operation: "send", on: subject, node: node)
        if let messageID { span.set(.messageID, messageID) }
        return span
    }

    /// Adds the context of an event's span to its message.
    func context(of span: any Span) -> SpanContextSource { SpanContextSource(tracer: tracer, span: span) }

    /// Runs `body` in a span for an event that was received; a child of the span in which it was emitted.
    ///
    /// - Parameters:
    ///   - template: the pattern of the subscription.
    ///   - group: the name of the durable.
    ///   - deliveries: how often the event was delivered.
    func process<Result: Sendable>(
        _ event: Event,
        template: String? = nil,
        group: String? = nil,
        deliveries: Int? = nil,
        _ body: () async throws -> Result
    ) async throws -> Result {
        var parent = ServiceContext.topLevel
        if let origin = event.origin { tracer.extract(origin.headers, into: &parent, using: HeaderExtractor()) }
        let span = tracer.startAnySpan("process \(event.subject)", context: parent, ofKind: .consumer)
        defer { span.end() }
        span.set(operation: "process", on: event.subject, node: event.node)
        if let template { span.set(.destinationTemplate, template) }
        if let group { span.set(.consumerGroup, group) }
        if let deliveries {
            span.attributes.set(SpanAttributeName.deliveries.rawValue, value: .int64(Int64(deliveries)))
        }
        do {
            return try await ServiceContext.withValue(span.context) { try await body() }
        } catch {
            span.failed(error)
            throw error
        }
    }
}

/// Adds the context of a span, so that the receivers' spans become its children.
struct SpanContextSource: EventHeaderSource {
    let tracer: any Tracer
    let span: any Span

    func addFields(to headers: inout MessageHeaders, of message: EncodedEvent) {
        tracer.inject(span.context, into: &headers, using: HeaderInjector())
    }
}

extension Span {
    /// Records the error and marks the span as failed.
    func failed(_ error: any Error) {
        set(.errorType, (error as? MeshEventsError)?.code.description ?? "\(type(of: error))")
        recordError(error)
        setStatus(SpanStatus(code: .error))
    }

    fileprivate func set(operation: String, on subject: String, node: String) {
        // Subjects follow the rules of NATS, on every transport.
        set(.system, "nats")
        set(.operationName, operation)
        set(.operationType, operation)
        set(.destination, subject)
        set(.node, node)
    }

    fileprivate func set(_ name: SpanAttributeName, _ value: String) {
        attributes.set(name.rawValue, value: .string(value))
    }
}

/// Writes the fields of a trace's context (W3C Trace Context: `traceparent`, `tracestate`).
private struct HeaderInjector: Injector {
    func inject(_ value: String, forKey key: String, into carrier: inout MessageHeaders) {
        let field: MessageHeaders = [key: value]
        // A field that is not valid is left out; the event is still sent.
        guard (try? field.validate()) != nil else { return }
        carrier[key] = value
    }
}

/// Finds the fields in any letter case: Go's header type writes `Traceparent`.
private struct HeaderExtractor: Extractor {
    func extract(key: String, from carrier: MessageHeaders) -> String? {
        if let value = carrier[key] { return value }
        let wanted = key.lowercased()
        return carrier.fields.first { $0.name.lowercased() == wanted }?.value
    }
}
