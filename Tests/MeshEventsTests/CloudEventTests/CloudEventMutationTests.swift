import MeshEvents
import MeshEventsInterop
import Testing

/// Damaged CloudEvents: refused, or read as something that can be written and read again.
struct CloudEventMutationTests {
    private static let texts = [
        #"{"specversion":"1.0","id":"4711-rs","source":"/mesh/nodes/a%20b","type":"tool.crashed","subject":"é","#
            + #""time":"2026-11-24T09:04:34.5Z","datacontenttype":"application/json","retries":3,"urgent":true,"none":null,"#
            + #""data":{"tool":"whisper","n":[1,{"a":null}]}}"#,
        #"{"specversion":"1.0","id":"1","source":"s","type":"user.x","data_base64":"eyJhIjoxfQ=="}"#,
        #"{"specversion":"1.0","id":"1","source":"s","type":"user.x","datacontenttype":"text/plain"}"#,
        #"{"specversion":"1.0","id":"1","source":"/mesh/nodes/pi","type":"user.x","datacontenttype":"#
            + #""application/json;profile=mesh-event","data":{"type":"user.x","node":"pi","data":{"a":1}}}"#,
    ]

    @Test(arguments: texts.indices) func whatIsReadCanBeWrittenAndReadAgain(index: Int) throws {
        let original = Array(Self.texts[index].utf8)
        var generator = SeededGenerator(seed: 300 + UInt64(index))
        let tokens = Array("{}[]\",:\\u0e-+.%; \n\u{0}/'1a".utf8)
        var accepted = 0
        for round in 0..<4_000 {
            var bytes = original
            // The first one stays as it is.
            for _ in 0..<(round == 0 ? 0 : Int.random(in: 1...3, using: &generator)) {
                let position = Int.random(in: bytes.indices, using: &generator)
                let byte =
                    Bool.random(using: &generator)
                    ? UInt8.random(in: .min ... .max, using: &generator) : tokens.randomElement(using: &generator) ?? 0
                switch Int.random(in: 0..<3, using: &generator) {
                case 0: bytes[position] = byte
                case 1: bytes.insert(byte, at: position)
                default: bytes.remove(at: position)
                }
            }
            guard let cloudEvent = try? CloudEvent(json: bytes) else { continue }
            accepted += 1
            let text = try cloudEvent.json()
            #expect(try CloudEvent(json: text) == cloudEvent, "\(text)")
            try cloudEvent.headers.validate()
            #expect(
                cloudEvent.headers.fields.allSatisfy { $0.value.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F } },
                "\(text)"
            )
            if let event = try? cloudEvent.event() { try event.validate() }
        }
        #expect(accepted > 50)
    }
}
