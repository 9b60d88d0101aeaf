import Foundation
import MeshLogging
import Testing

@testable import MeshEvents

/// The document and the code say the same.
struct ObservabilityDocumentTests {
    private static let package = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// The rows of the table under a heading that has this first column, without backticks.
    private func table(_ column: String) throws -> [[String]] {
        let path = Self.package.appending(path: "Sources/MeshEvents/MeshEvents.docc/Observability.md")
        let lines = try String(contentsOf: path, encoding: .utf8).split(
            separator: "\n",
            omittingEmptySubsequences: false
        )
        let start = try #require(lines.firstIndex { $0.hasPrefix("| \(column) |") })
        return lines[(start + 2)...].prefix { $0.hasPrefix("|") }.map { line in
            line.split(separator: "|", omittingEmptySubsequences: false).dropFirst().dropLast().map {
                $0.replacing("`", with: "").trimmingCharacters(in: .whitespaces)
            }
        }
    }

    @Test func everyMetricIsInTheTableAsItIs() throws {
        let expected = EventMetric.allCases.map { [$0.rawValue, $0.kind.rawValue, $0.label ?? ""] }
        #expect(try table("metric").map { [$0[0], $0[1], $0[3]] } == expected)
        for metric in EventMetric.allCases {
            #expect(metric.rawValue.hasPrefix("mesh_events_"))
            #expect(metric.rawValue.hasSuffix("_total") == (metric.kind == .counter))
        }
    }

    @Test func everySpanAttributeIsInTheTable() throws {
        #expect(try table("attribute").map { $0[0] } == SpanAttributeName.allCases.map(\.rawValue))
    }

    @Test func everyLogKeyIsInTheTable() throws {
        #expect(try table("key").map { $0[0] } == LogKey.allCases.map(\.rawValue).sorted())
    }

    /// Loggers take keys of ``LogKey``; nobody goes around it.
    @Test func noSourceWritesAKeyOfItsOwn() throws {
        let sources = Self.package.appending(path: "Sources")
        let files = try #require(FileManager.default.enumerator(at: sources, includingPropertiesForKeys: nil))
        var seen = 0
        for case let file as URL in files where file.pathExtension == "swift" && !file.path.contains("MeshLogging") {
            let text = try String(contentsOf: file, encoding: .utf8)
            guard text.contains("import Logging") else { continue }
            seen += 1
            #expect(
                !text.contains(/metadataKey: "|metadata: \[|\.metadata\["|: Logger\.Metadata = \[\s*"/),
                "\(file.path)"
            )
        }
        #expect(seen > 10)
    }
}
