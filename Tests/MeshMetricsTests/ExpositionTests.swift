import Testing

@testable import MeshMetrics

@Suite struct ExpositionTests {
    private let crashes = MetricFamily("mesh_tool_crashes", .counter, "How often it \"crashed\".")
    private let info = MetricFamily("mesh_tool", .info, "The tool.")
    private let age = MetricFamily("mesh_age_seconds", .gauge, "How old.")
    private let time = MetricFamily("mesh_time_seconds", .histogram, "How long.")

    private func text(_ exposition: Exposition) -> String { String(decoding: exposition.text, as: UTF8.self) }

    private func sample(_ format: ExpositionFormat) -> Exposition {
        var exposition = Exposition(format, maximumSeries: 100)
        exposition.add(2, to: crashes, MetricLabels("node", "pi").adding("tool", "a"))
        exposition.add(1, to: info, MetricLabels("node", "pi"))
        exposition.add(0.5, to: age)
        // A family's samples stand together, whatever came between.
        exposition.add(3, to: crashes, MetricLabels("node", "pi").adding("tool", "b"))
        var histogram = HistogramCounts(bounds: [0.5, 2])
        for value in [0.25, 0.5, 1, 10, .nan, .infinity] { histogram.record(value) }
        exposition.add(histogram, to: time, MetricLabels("node", "pi"))
        return exposition
    }

    @Test func openMetricsNamesFamilies() {
        let exposition = sample(.openMetrics)
        #expect(
            text(exposition) == """
                # HELP mesh_tool_crashes How often it \\"crashed\\".
                # TYPE mesh_tool_crashes counter
                mesh_tool_crashes_total{node="pi",tool="a"} 2
                mesh_tool_crashes_total{node="pi",tool="b"} 3
                # HELP mesh_tool The tool.
                # TYPE mesh_tool info
                mesh_tool_info{node="pi"} 1
                # HELP mesh_age_seconds How old.
                # TYPE mesh_age_seconds gauge
                # UNIT mesh_age_seconds seconds
                mesh_age_seconds 0.5
                # HELP mesh_time_seconds How long.
                # TYPE mesh_time_seconds histogram
                # UNIT mesh_time_seconds seconds
                mesh_time_seconds_bucket{node="pi",le="0.5"} 2
                mesh_time_seconds_bucket{node="pi",le="2.0"} 3
                mesh_time_seconds_bucket{node="pi",le="+Inf"} 4
                mesh_time_seconds_count{node="pi"} 4
                mesh_time_seconds_sum{node="pi"} 11.75
                # EOF

                """
        )
        #expect(exposition.series == 9 && exposition.leftOut == 0)
    }

    @Test func theOlderFormatNamesSamples() {
        let lines = text(sample(.text)).split(separator: "\n")
        #expect(lines.contains("# HELP mesh_tool_crashes_total How often it \"crashed\"."))
        #expect(lines.contains("# TYPE mesh_tool_crashes_total counter"))
        #expect(lines.contains("# TYPE mesh_tool_info gauge"))
        #expect(!lines.contains { $0.hasPrefix("# UNIT") || $0.hasPrefix("# EOF") })
        // The samples are the same.
        let samples = text(sample(.openMetrics)).split(separator: "\n").filter { !$0.hasPrefix("#") }
        #expect(lines.filter { !$0.hasPrefix("#") } == samples)
    }

    @Test(arguments: [
        ("pi", "pi"), ("a\"b\\c\nd", #"a\"b\\c\nd"#), ("Größe 🥧", "Größe 🥧"),
        ("a\r\u{0}\u{7F}b", "a\u{FFFD}\u{FFFD}\u{FFFD}b"),
        ("\u{202E}ip\u{200B}", "\u{FFFD}ip\u{FFFD}"), ("\u{85}\u{2028}", "\u{FFFD}\u{FFFD}"), ("", ""),
        ("a\u{3164}\u{E000}", "a\u{FFFD}\u{FFFD}"), ("世\u{FE01}\u{200D}", "世\u{FFFD}\u{FFFD}"),
        ("❤\u{FE0F}", "❤\u{FE0F}"),
        (#"x"} 1\#n# EOF"#, #"x\"} 1\n# EOF"#),
    ])
    func valuesOfLabelsCannotEndThem(value: String, escaped: String) {
        #expect(MetricLabels("node", value).text == "node=\"\(escaped)\"")
    }

    @Test func longValuesAreCut() {
        for value in [String(repeating: "x", count: 1_000), String(repeating: "ä", count: 1_000)] {
            let text = MetricLabels("a", value).text
            #expect(text.utf8.count <= MetricLabels.maximumBytes + 4 && text.hasSuffix("…\""))
        }
        let whole = String(repeating: "x", count: MetricLabels.maximumBytes)
        #expect(MetricLabels("a", whole).text == "a=\"\(whole)\"")
    }

    @Test func numbersAreThoseOfPrometheus() {
        for (value, text) in [
            (0, "0"), (-1, "-1"), (0.1, "0.1"), (.nan, "NaN"), (.infinity, "+Inf"), (-.infinity, "-Inf"),
            (1e15, "1000000000000000"), (1e16, "1e+16"), (1.5e-9, "1.5e-09"),
        ] as [(Double, String)] {
            #expect(Exposition.number(value) == text)
        }
    }

    @Test func whatDoesNotFitIsLeftOutAndCounted() {
        var exposition = Exposition(.text, maximumSeries: 3)
        for number in 0..<5 { exposition.add(1, to: age, MetricLabels("n", "\(number)")) }
        exposition.add(HistogramCounts(bounds: [1]), to: time, MetricLabels())
        #expect(exposition.series == 3 && exposition.leftOut == 2 + 4 && exposition.room == 0)
        exposition.add(1, to: info, isOwed: true)
        #expect(exposition.series == 4 && text(exposition).contains("mesh_tool_info 1\n"))
        // Bytes count too.
        var small = Exposition(.text, maximumSeries: 1_000, maximumBytes: 1_000)
        for number in 0..<1_000 { small.add(1, to: age, MetricLabels("n", "\(number)")) }
        #expect(small.room == 0 && small.leftOut > 900 && small.text.count < 1_200)
    }
}
