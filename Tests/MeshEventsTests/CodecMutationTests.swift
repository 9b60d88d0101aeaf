import Foundation
import MeshEvents
import Testing

/// The decoder against Foundation's parser, on damaged messages. What we accept, Foundation must accept. Known
/// differences, all of them valid by RFC 8259's grammar: surrogate escapes without a partner, and numbers beyond
/// `Double`, which Foundation refuses and we keep as text.
@Suite struct CodecMutationTests {
    private static func accepts(_ bytes: [UInt8]) -> Bool {
        do throws(MeshEventsError) {
            _ = try EventDecoder.decode(subject: "events.user.x", payload: bytes, received: .epoch)
            return true
        } catch {
            // Not for what it says, but for where it says it.
            return error.message.contains("differs from the subject's type")
        }
    }

    private static func foundationAccepts(_ bytes: [UInt8]) -> Bool {
        (try? JSONSerialization.jsonObject(with: Data(bytes))) is [String: Any]
    }

    private static func isKnownDifference(_ bytes: [UInt8]) -> Bool {
        let text = String(decoding: bytes, as: UTF8.self).lowercased()
        return text.contains("\\ud") || text.contains(/[0-9]e[+-]?[0-9]{3}/)
    }

    private static func hasTrailingComma(_ bytes: [UInt8]) -> Bool {
        String(decoding: bytes, as: UTF8.self).contains(/,[ \t\r\n]*[}\]]/)
    }

    private static let messages: [[UInt8]] =
        GoEvents.all.map { Array($0.payload.utf8) } + [
            Array(
                #" { "data" : { "a" : [ -1.5e-3 , true , false , null , "\ud83d\ude80" , { } ] } , "node" : "x" } "#
                    .utf8
            )
        ]

    @Test(arguments: messages.indices) func `no truncation of a message is accepted`(index: Int) {
        let message = Self.messages[index]
        let end = message.lastIndex(of: UInt8(ascii: "}")) ?? 0
        for length in 0...end {
            let cut = Array(message[..<length])
            #expect(!Self.accepts(cut))
            #expect(throws: MeshEventsError.self) { try EventData(json: cut) }
        }
        #expect(Self.accepts(message))
    }

    @Test(arguments: messages.indices) func `no mutation traps, or is accepted when Foundation refuses it`(index: Int) {
        var generator = SeededGenerator(seed: 100 + UInt64(index))
        let tokens = Array("{}[]\",:\\u0e-+.tfn \n\u{0}/'19".utf8)
        var accepted = 0
        for _ in 0..<1_500 {
            var bytes = Self.messages[index]
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                let position = Int.random(in: bytes.indices, using: &generator)
                let anyByte = UInt8.random(in: .min ... .max, using: &generator)
                let byte = Bool.random(using: &generator) ? anyByte : tokens.randomElement(using: &generator) ?? 0
                switch Int.random(in: 0..<4, using: &generator) {
                case 0: bytes.insert(byte, at: position)
                case 1 where bytes.count > 1: bytes.remove(at: position)
                default: bytes[position] = byte
                }
            }
            let isAccepted = Self.accepts(bytes)
            if isAccepted { accepted += 1 }
            if isAccepted, !Self.foundationAccepts(bytes), !Self.isKnownDifference(bytes) {
                Issue.record("accepted, though Foundation refuses it: \(String(decoding: bytes, as: UTF8.self))")
            }
            // As event data the whole message is an object like any other: here both must agree, except that
            // Foundation lets a comma before a closing bracket pass.
            let isData = (try? EventData(json: bytes)) != nil
            if isData != Self.foundationAccepts(bytes), !Self.isKnownDifference(bytes), !Self.hasTrailingComma(bytes) {
                Issue.record(
                    "\(isData ? "accepted" : "refused"), unlike Foundation: \(String(decoding: bytes, as: UTF8.self))"
                )
            }
        }
        #expect(accepted > 10)
    }

    @Test func `accepted data reads the same as Foundation reads it`() throws {
        var generator = SeededGenerator(seed: 7)
        for _ in 0..<1_000 {
            let data = EventData(RandomJSON.object(using: &generator))
            let theirs = try #require(try JSONSerialization.jsonObject(with: Data(data.json.utf8)) as? [String: Any])
            #expect(theirs.count == data.value.object?.count)
            for (key, value) in data.members {
                if let string = value.string { #expect(theirs[key] as? String == string) }
                if let integer = value.int64 { #expect((theirs[key] as? NSNumber)?.int64Value == integer) }
            }
        }
    }
}
