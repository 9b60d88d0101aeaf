import Foundation
import MeshEvents
import Testing

/// The codec agrees with Foundation's JSON parser, but for the differences that are meant: each of those is shown here,
/// and any other found in the fuzzer's corpus or near it is an error. `Fuzz/run.sh` looks further.
@Suite struct FoundationAgreementTests {
    @Test(
        "each difference that is meant",
        arguments: [
            (#"{"a":"# + String(repeating: "[", count: 200) + String(repeating: "]", count: 200) + "}", .depth),
            ("\u{FEFF}{}", .encoding),
            (#"{"a":[1,],"b":{"c":2,}}"#, .trailingComma),
            (#"{"a":"\ud800 alone"}"#, .loneSurrogate), (#"{"a":"\udc00\ud800"}"#, .loneSurrogate),
            (#"{"a":1e999}"#, .hugeNumber), (#"{"a":-1E400,"b":2}"#, .hugeNumber),
            (#"{"é":1,"e\u0301":2}"#, .equivalentNames),
        ] as [(String, FoundationComparison.Exception)]
    )
    func exceptions(text: String, exception: FoundationComparison.Exception) {
        #expect(FoundationComparison.compareData(Array(text.utf8)) == .excepted(exception))
        let event = #"{"type":"user.x","data":\#(text.replacing("\u{FEFF}", with: ""))}"#
        let mark = exception == .encoding ? "\u{FEFF}" : ""
        #expect(FoundationComparison.compareEvent(Array((mark + event).utf8)) == .excepted(exception))
    }

    @Test("UTF-16 is not the wire's encoding")
    func wide() {
        let bytes = Array(#"{"a":1}"#.utf8.map { [$0, 0] }.joined())
        #expect(FoundationComparison.compareData(bytes) == .excepted(.encoding))
    }

    @Test("of members with the same name the last counts, for both")
    func repeated() {
        let text = #"{"type":"user.a","data":{"a":1,"a":{"b":2}},"type":"user.b","node":1,"node":"n"}"#
        #expect(FoundationComparison.compareEvent(Array(text.utf8)) == .bothAccept)
        #expect(FoundationComparison.compareData(Array(text.utf8)) == .bothAccept)
    }

    @Test("numbers up to the limits have the same values")
    func numbers() {
        let text = """
            {"a":9223372036854775807,"b":-9223372036854775808,"c":18446744073709551615,"d":0.1,"e":-0.0,"f":5e-324,
             "g":1.7976931348623157e308,"h":2.2250738585072014E-308,"i":123456789012345678901234567890,"j":1e-400,
             "k":92233720368547773709551609551644073709551615}
            """
        #expect(FoundationComparison.compareData(Array(text.utf8)) == .bothAccept)
    }

    @Test("the fuzzer's corpus, and 20 000 texts that differ from it by a few bytes")
    func corpus() throws {
        let package = #filePath.split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 }
        var seeds: [[UInt8]] = GoEvents.all.map { Array($0.payload.utf8) }
        for target in ["event", "data"] {
            let directory = package + "/Fuzz/Corpus/" + target
            for name in try FileManager.default.contentsOfDirectory(atPath: directory).sorted() {
                seeds.append(Array(try Data(contentsOf: URL(fileURLWithPath: directory + "/" + name))))
            }
        }
        #expect(seeds.count > 25)
        var generator = SeededGenerator(seed: 2026)
        let tokens = Array("{}[]\",:\\u0e-+.tfn \n\u{0}/'19dD8".utf8)
        var verdicts: [String: Int] = [:]
        for round in 0..<20_000 {
            var bytes = seeds[round % seeds.count]
            for _ in 0..<Int.random(in: round < seeds.count ? 0...0 : 1...3, using: &generator) {
                let position = Int.random(in: 0...bytes.count, using: &generator)
                let byte = tokens.randomElement(using: &generator) ?? 0
                switch Int.random(in: 0..<3, using: &generator) {
                case 0: bytes.insert(byte, at: position)
                case 1 where position < bytes.count: bytes.remove(at: position)
                default: if position < bytes.count { bytes[position] = byte }
                }
            }
            for verdict in [FoundationComparison.compareData(bytes), FoundationComparison.compareEvent(bytes)] {
                if case .differ(let how) = verdict {
                    Issue.record("\(how): \(String(decoding: bytes, as: UTF8.self).debugDescription)")
                }
                verdicts["\(verdict)".prefix(10).description, default: 0] += 1
            }
        }
        #expect(verdicts["bothAccept"] ?? 0 > 5_000, "\(verdicts)")
        #expect(verdicts["bothRefuse"] ?? 0 > 5_000, "\(verdicts)")
    }
}
