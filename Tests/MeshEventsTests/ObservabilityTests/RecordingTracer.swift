import InMemoryTracing
import Tracing

/// A tracer that keeps its spans and speaks W3C Trace Context, as real ones do.
struct RecordingTracer: Tracer {
    typealias Span = InMemorySpan

    private let tracer: InMemoryTracer

    init() {
        func hex(_ digits: Int) -> @Sendable () -> String {
            { String((0..<digits).map { _ in Array("0123456789abcdef").randomElement() ?? "0" }) }
        }
        tracer = InMemoryTracer(
            idGenerator: InMemoryTracer.IDGenerator(nextTraceID: hex(32), nextSpanID: hex(16)),
            recordInjections: false,
            recordExtractions: false
        )
    }

    var spans: [FinishedInMemorySpan] { tracer.finishedSpans }

    func startSpan<Instant: TracerInstant>(
        _ operationName: String,
        context: @autoclosure () -> ServiceContext,
        ofKind kind: SpanKind,
        at instant: @autoclosure () -> Instant,
        function: String,
        file fileID: String,
        line: UInt
    ) -> InMemorySpan {
        tracer.startSpan(
            operationName,
            context: context(),
            ofKind: kind,
            at: instant(),
            function: function,
            file: fileID,
            line: line
        )
    }

    func forceFlush() {}

    func inject<Carrier, Inject: Injector>(
        _ context: ServiceContext,
        into carrier: inout Carrier,
        using injector: Inject
    ) where Inject.Carrier == Carrier {
        guard let span = context.inMemorySpanContext else { return }
        injector.inject("00-\(span.traceID)-\(span.spanID)-01", forKey: "traceparent", into: &carrier)
        injector.inject("mesh=1", forKey: "tracestate", into: &carrier)
    }

    func extract<Carrier, Extract: Extractor>(
        _ carrier: Carrier,
        into context: inout ServiceContext,
        using extractor: Extract
    ) where Extract.Carrier == Carrier {
        guard let parts = extractor.extract(key: "traceparent", from: carrier)?.split(separator: "-"), parts.count == 4
        else { return }
        context.inMemorySpanContext = InMemorySpanContext(
            traceID: String(parts[1]),
            spanID: String(parts[2]),
            parentSpanID: nil
        )
    }
}
