import Foundation
import MeshEvents
import Testing

/// Messages that the Go implementation put on the wire: subject, a space, the payload, one a line.
enum GoEvents {
    struct Message: Sendable, CustomTestStringConvertible {
        var subject: String
        var payload: String
        var testDescription: String { subject }
    }

    static let all: [Message] = {
        guard let url = Bundle.module.url(forResource: "go-events", withExtension: "txt", subdirectory: "Resources"),
            let text = try? String(contentsOf: url, encoding: .utf8)
        else { return [] }
        return text.split(separator: "\n").map { line in
            let parts = line.split(separator: " ", maxSplits: 1)
            return Message(subject: String(parts[0]), payload: String(parts[1]))
        }
    }()
}

func decode(_ payload: String, subject: String = "events.user.x") throws(MeshEventsError) -> Event {
    try EventDecoder.decode(
        subject: subject,
        payload: Array(payload.utf8),
        received: Timestamp(nanosecondsSinceEpoch: 42)
    )
}

func encoded(_ event: Event) throws(MeshEventsError) -> String {
    String(decoding: try EventEncoder().encode(event), as: UTF8.self)
}

@Suite struct CodecTests {
    @Test func `the Go implementation's messages are all there`() { #expect(GoEvents.all.count == 15) }

    @Test(arguments: GoEvents.all) func `what Go sent is read without loss and written back byte for byte`(
        message: GoEvents.Message
    ) throws {
        let event = try decode(message.payload, subject: message.subject)
        #expect(event.subject == message.subject)
        #expect(event.node.hasPrefix("node-"))
        #expect(event.timestamp > (try Timestamp(rfc3339: "2026-11-24T09:04:34Z")))
        #expect(try encoded(event) == message.payload)
    }

    @Test func `Go's escapes and numbers read right`() throws {
        let message = try #require(GoEvents.all.first { $0.subject == "events.user.escapes" })
        let data = try decode(message.payload, subject: message.subject).data
        #expect(data["html"]?.string == "<b>&amp;</b>")
        #expect(data["control"]?.string == "\u{0}\u{1}\t\n\r")
        #expect(data["line"]?.string == "\u{2028}\u{2029}")
        #expect(data["big"]?.int64 == 9_007_199_254_740_993)
        #expect(data["small"]?.double == 1e-7)
        #expect(data["unicode"]?.string == "héllo – 日本 🚀")
        #expect(data["quote"]?.string == "a\"b\\c")
    }

    @Test func `an event is one line with its members in the contract's order`() throws {
        let event = Event(
            "user.\"q\\",
            node: "nö\"de\n",
            timestamp: Timestamp(nanosecondsSinceEpoch: 1_500_000_000),
            data: nil
        )
        #expect(
            try encoded(event)
                == #"{"type":"user.\"q\\","node":"nö\"de\n","timestamp":"1970-01-01T00:00:01.5Z","data":null}"#
        )
        #expect(try decode(encoded(event), subject: event.subject) == event)
    }

    @Test func `any event survives being sent`() throws {
        var generator = SeededGenerator(seed: 5)
        for round in 0..<2_000 {
            let event = Event(
                try EventType("user.t\(round % 7)"),
                node: RandomJSON.string(using: &generator),
                timestamp: Timestamp(nanosecondsSinceEpoch: .random(in: .min ... .max, using: &generator)),
                data: round % 9 == 0 ? nil : EventData(RandomJSON.object(using: &generator))
            )
            let bytes = try EventEncoder().encode(event)
            #expect(!bytes.contains { $0 < 0x20 })
            let back = try EventDecoder.decode(subject: event.subject, payload: bytes, received: .epoch)
            #expect(back == event)
            #expect(back.data.json == event.data.json)
            #expect(try EventEncoder().encode(back) == bytes)
        }
    }

    @Test func `a buffer of any size is filled or left alone`() throws {
        let event = Event("user.x", node: "näme \"quoted\"", timestamp: .now, data: ["key": "välue", "n": 0.125])
        let whole = try EventEncoder().encode(event)
        for size in 0...whole.count + 8 {
            var buffer = [UInt8](repeating: 0xAA, count: size + 4)
            let count = try buffer.withUnsafeMutableBytes { bytes in
                try EventEncoder().encode(event, into: UnsafeMutableRawBufferPointer(rebasing: bytes[..<size]))
            }
            #expect(count == (size >= whole.count ? whole.count : nil))
            #expect(buffer[size...].allSatisfy { $0 == 0xAA })
            if let count { #expect(Array(buffer[..<count]) == whole) }
        }
        let large = Event("user.x", node: String(repeating: "\u{1}", count: 5_000), timestamp: .now)
        #expect(try decode(encoded(large)) == large)
    }

    @Test func `members may come in any order, with white space, unknown ones, escaped names and repeats`() throws {
        let event = try decode(
            """
             {\t"extra": {"type": 1, "data": [ ]} , "data" : { "a" : [ 1 , 2 ] , "b":" x " },\r
             "n\\u006fde":"first","node":"la\\u0073t", "timestamp":"2026-11-24T10:04:34+01:00","type":1,"type":"user.real" }
            """,
            subject: "events.user.real"
        )
        #expect(event.type == "user.real")
        #expect(event.node == "last")
        #expect(event.timestamp.description == "2026-11-24T09:04:34Z")
        #expect(event.data.json == #"{"a":[1,2],"b":" x "}"#)
        #expect(try decode(#"{"data":1,"data":{"x":1},"data":null}"#).data == nil)
        #expect(try decode(#"{"data":{"x":{}},"data":{}}"#).data == .empty)
    }

    @Test func `a Go node's reconnect message is an event`() throws {
        let event = try decode(#"{"node":"X","event":"reconnect"}"#, subject: "events.node.joined")
        #expect(event == Event(.nodeJoined, node: "X", timestamp: Timestamp(nanosecondsSinceEpoch: 42), data: nil))
        #expect(try event.payload(as: NodeJoined.self).capabilities.isNull)
    }

    @Test func `what is missing is filled in`() throws {
        let received = Timestamp(nanosecondsSinceEpoch: 42)
        for one in [#""node":"""#, #""type":"""#, #""data":null"#, #""timestamp":1"#] {
            #expect(try decode("{\(one)}") == Event("user.x", node: "", timestamp: received, data: nil))
        }
        for bad in [#""""#, #""yesterday""#, "1", "null", "{}", #""9999-01-01T00:00:00Z""#, #""2026-11-24""#] {
            #expect(try decode("{\"timestamp\":\(bad)}").timestamp == received)
        }
        #expect(
            try decode(#"{"timestamp":"2026\u002d11-24T09:04:34Z"}"#).timestamp.description == "2026-11-24T09:04:34Z"
        )
        // The type in the envelope counts, unless nobody could send it.
        #expect(try decode(#"{"type":"tool.started"}"#, subject: "events.tool.started").type == .toolStarted)
        #expect(try decode(#"{"type":"tool.started"}"#, subject: "elsewhere").type == .toolStarted)
        for bad in ["", "tool..x", "a b", "tool.*", "a\\nb", String(repeating: "x", count: 201)] {
            #expect(try decode("{\"type\":\"\(bad)\"}").type == "user.x")
        }
    }

    /// The sender of a request names the subject of the answer. The texts are those of nats-server.
    @Test(arguments: [
        #"{"stream":"MESH_EVENTS", "seq":7}"#, #"{"stream":"MESH_EVENTS","domain":"hub", "seq":7,"duplicate": true}"#,
        #"{"error":{"code":503,"err_code":10077,"description":"maximum messages exceeded"},"stream":"MESH_EVENTS","seq":0}"#,
        #"{"type":"io.nats.jetstream.api.v1.stream_msg_get_response","message":{"subject":"events.user.a","seq":1,"data":"e30="}}"#,
        #"{"type":"io.nats.jetstream.api.v1.account_info_response","memory":0,"storage":0}"#,
        #"{"type":"io.nats.\u006aetstream.api.v1.x"}"#, "{}", #"{"event":"reconnect"}"#,
    ]) func `what a server answers to a request is no event on any subject`(answer: String) throws {
        for type in ["tool.crashed", "node.left", "user.x", "io.nats.jetstream.api.v1.account_info_response"] {
            let error = try #require(throws: MeshEventsError.self) { try decode(answer, subject: "events.\(type)") }
            #expect(error.code == .malformedEvent)
            #expect(error.message.contains("answer"), "\(error)")
        }
    }

    @Test(arguments: [
        ("user.x", "node.left"), ("user.node.left", "node.left"), ("user.a", "user.b"), ("user.a", "user.a.b"),
        ("user.a.b", "user.a"), ("node.left", "node\\u002ejoined"),
    ]) func `a type that is another than the subject's is malformed: only the subject is checked by servers`(
        subject: String,
        type: String
    ) throws {
        let error = try #require(throws: MeshEventsError.self) {
            try decode(#"{"type":"\#(type)","node":"n","data":{}}"#, subject: "events.\(subject)")
        }
        #expect(error.code == .malformedEvent)
        #expect(error.message.contains("'type' differs from the subject's type"))
    }

    @Test(arguments: [
        "", " ", "hello", "{", "{\"type\":\"a\"", "nul", "[]", "\"x\"", "1", "null", "true", "{}{}", "{} x",
        #"{"type":1}"#, #"{"type":null}"#, #"{"type":{}}"#, #"{"node":1}"#, #"{"node":null}"#, #"{"node":["x"]}"#,
        #"{"data":1}"#, #"{"data":[]}"#, #"{"data":"{}"}"#, #"{"data":true}"#, #"{"data":{"a":1,}}"#,
        #"{"data":{"a":NaN}}"#,
        #"{"x":{"a":tru}}"#, "{\"node\":\"a\nb\"}", #"{"node":"\x"}"#,
    ]) func `every malformed kind is reported`(payload: String) throws {
        let error = try #require(throws: MeshEventsError.self) { try decode(payload) }
        #expect(error.code == .malformedEvent)
        let report = try #require(error.underlying as? MalformedEvent)
        #expect(report.subject == "events.user.x")
        #expect(report.payloadPrefix == Array(payload.utf8))
        #expect(report.payloadCount == payload.utf8.count)
        #expect(!report.reason.isEmpty)
    }

    @Test func `invalid UTF-8, deep nesting and impossible subjects are malformed`() throws {
        func fails(_ payload: [UInt8], _ subject: String = "events.user.x") -> String? {
            do throws(MeshEventsError) {
                _ = try EventDecoder.decode(subject: subject, payload: payload, received: .epoch)
                return nil
            } catch {
                return (error.underlying as? MalformedEvent)?.reason
            }
        }
        for member in ["node", "type", "other", "data\":{\"x"] {
            let close = member.hasPrefix("data") ? "\"}}" : "\"}"
            let invalid = Array("{\"\(member)\":\"a".utf8) + [0xC3, 0x28] + Array(close.utf8)
            #expect(fails(invalid)?.contains("UTF-8") == true)
        }
        func nested(_ levels: Int) -> [UInt8] {
            let inner = String(repeating: "[", count: levels - 1) + String(repeating: "]", count: levels - 1)
            return Array("{\"node\":\"n\",\"other\":\(inner)}".utf8)
        }
        #expect(fails(nested(128)) == nil)
        #expect(fails(nested(129))?.contains("deeper") == true)
        #expect(fails(Array(String(repeating: "[", count: 1_000_000).utf8))?.contains("deeper") == true)
        let bare = Array(#"{"node":"n"}"#.utf8)
        #expect(fails(bare, "other.x")?.contains("type") == true)
        #expect(fails(bare, "events.") != nil)
        #expect(fails(Array(#"{"type":"tool.*"}"#.utf8), "events.tool.*") != nil)
        let long = [UInt8](repeating: UInt8(ascii: "x"), count: 10_000)
        let report = try #require(throws: MeshEventsError.self) {
            try EventDecoder.decode(subject: "events.x", payload: long, received: .epoch)
        }
        let malformed = try #require(report.underlying as? MalformedEvent)
        #expect(malformed.payloadPrefix.count == MalformedEvent.maximumPrefix)
        #expect(malformed.payloadCount == 10_000)
        #expect(malformed.description.utf8.count < 300)
    }

    @Test func `a decoder that has seen many types and nodes mixes none up`() throws {
        var generator = SeededGenerator(seed: 6)
        var decoder = EventDecoder()
        for _ in 0..<5_000 {
            let type = "user.topic-\(Int.random(in: 0..<300, using: &generator))"
            let node = "a-node-with-a-long-name-\(Int.random(in: 0..<300, using: &generator))"
            let payload = Array("{\"type\":\"\(type)\",\"node\":\"\(node)\"}".utf8)
            let event = try payload.withUnsafeBytes { bytes in
                try Array("events.\(type)".utf8).withUnsafeBytes { subject in
                    try decoder.decode(subject: subject, payload: bytes, received: .epoch)
                }
            }
            #expect(event.type.rawValue == type)
            #expect(event.node == node)
        }
    }
}
