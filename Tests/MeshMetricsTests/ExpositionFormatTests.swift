import MeshMetrics
import Testing

@Suite struct ExpositionFormatTests {
    @Test(arguments: [
        (nil, ExpositionFormat.text), ("", .text), ("*/*", .text), ("text/plain", .text),
        ("text/html,*/*;q=0.8", .text),
        // Prometheus 2.42, and 3.
        (
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
                + "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            .openMetrics
        ),
        (
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
                + "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4,text/plain;q=0.3,*/*;q=0.2",
            .openMetrics
        ),
        ("application/openmetrics-text", .openMetrics), ("APPLICATION/OpenMetrics-Text ; Version=1.0.0", .openMetrics),
        ("application/openmetrics-text;q=0.3,text/plain;q=0.5", .text),
        ("application/openmetrics-text;q=0", .text), ("application/openmetrics-text;q=x", .text),
        ("application/openmetrics-text;version=2.0.0", .text),
        (String(repeating: "a/b,", count: 5_000) + "application/openmetrics-text", .text),
    ])
    func isTheOneThatTheClientLikesBest(accept: String?, format: ExpositionFormat) {
        #expect(ExpositionFormat(accept: accept) == format)
    }
}
