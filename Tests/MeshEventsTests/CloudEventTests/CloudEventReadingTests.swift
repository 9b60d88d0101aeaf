import MeshEvents
import MeshEventsInterop
import Testing

/// CloudEvents that others wrote.
struct CloudEventReadingTests {
    private static let least = #""specversion":"1.0","id":"1","source":"https://example.com/shop","type":"user.sold""#

    @Test func theLeastThatIsOneIsRead() throws {
        let cloudEvent = try CloudEvent(json: "{\(Self.least)}")
        #expect(
            cloudEvent
                == CloudEvent(id: "1", source: "https://example.com/shop", type: "user.sold", dataContentType: nil)
        )
        #expect(try cloudEvent.event() == Event("user.sold", node: "https://example.com/shop"))
    }

    @Test func everyAttributeIsRead() throws {
        let cloudEvent = try CloudEvent(
            json: #"{"type":"user.sold","data":{"n":1.50},"id":"A-1","source":"/mesh/nodes/pi%20zero","time":"#
                + #""2026-01-01T01:00:00.5+01:00","specversion":"1.0","subject":"cup","datacontenttype":"#
                + #""application/vnd.shop+json; charset=utf-8","traceparent":"00-1","retries":3,"urgent":true,"gone":null}"#
        )
        #expect(cloudEvent.id == "A-1" && cloudEvent.subject == "cup" && cloudEvent.node == "pi zero")
        #expect(cloudEvent.extensions == ["traceparent": "00-1", "retries": 3, "urgent": true])
        let time = try Timestamp(rfc3339: "2026-01-01T00:00:00.5Z")
        #expect(try cloudEvent.event() == Event("user.sold", node: "pi zero", timestamp: time, data: ["n": 1.5]))
        #expect(cloudEvent.data.json == #"{"n":1.50}"#)
    }

    @Test func base64IsRead() throws {
        // {"a":1}
        let cloudEvent = try CloudEvent(json: #"{\#(Self.least),"data_base64":"eyJhIjoxfQ=="}"#)
        #expect(cloudEvent.data == ["a": 1])
    }

    @Test func aWholeEventIsUnpackedAndHasToAgree() throws {
        func text(_ type: String, _ node: String, _ data: String) -> String {
            #"{"specversion":"1.0","id":"1","source":"/mesh/nodes/pi","type":"user.x","time":"2026-01-01T00:00:00Z","#
                + #""datacontenttype":"application/json; profile=\"mesh-event\"","data":{"type":"\#(type)","node":"\#(node)","#
                + #""timestamp":"2026-01-01T00:00:00Z","data":\#(data)}}"#
        }
        let event = try CloudEvent(json: text("user.x", "pi", #"{"a":1}"#)).event()
        #expect(
            event
                == Event(
                    "user.x",
                    node: "pi",
                    timestamp: try Timestamp(rfc3339: "2026-01-01T00:00:00Z"),
                    data: ["a": 1]
                )
        )
        for (type, node, data, problem) in [
            ("user.y", "pi", "null", "\"type\""), ("user.x", "po", "null", "\"node\""),
            ("user.x", "pi", "[]", "\"data\""),
        ] {
            let error = try #require(throws: MeshEventsError.self) {
                try CloudEvent(json: text(type, node, data)).event()
            }
            #expect(error.code == .invalidData && error.message.contains(problem), "\(error.message)")
        }
    }

    @Test(arguments: [
        ("[]", "not a JSON object"), ("null", "null"), ("{", "not a JSON object"), ("{}", "no \"specversion\""),
        (#"{"specversion":"0.3","id":"1","source":"a","type":"b"}"#, "'0.3'"),
        (#"{"specversion":1.0,"id":"1","source":"a","type":"b"}"#, "\"specversion\" is not a string"),
        (#"{"specversion":"1.0","source":"a","type":"b"}"#, "no \"id\""),
        (#"{"specversion":"1.0","id":"","source":"a","type":"b"}"#, "\"id\" is empty"),
        (#"{"specversion":"1.0","id":"a\nb","source":"a","type":"b"}"#, "\"id\" holds control characters"),
        (#"{"specversion":"1.0","id":"1","type":"b"}"#, "no \"source\""),
        (#"{"specversion":"1.0","id":"1","source":"a"}"#, "no \"type\""),
        (#"{"specversion":"1.0","id":"1","source":"a","type":7}"#, "\"type\" is not a string"),
        (#"{\#(least),"time":"yesterday"}"#, "\"time\""), (#"{\#(least),"subject":""}"#, "\"subject\" is empty"),
        (#"{\#(least),"data":[1]}"#, "\"data\" is neither"), (#"{\#(least),"data":"text"}"#, "\"data\" is neither"),
        (#"{\#(least),"datacontenttype":"text/plain","data":"a"}"#, "'text/plain'"),
        (#"{\#(least),"data_base64":"!"}"#, "not Base64"), (#"{\#(least),"data_base64":"MQ=="}"#, "data_base64"),
        (#"{\#(least),"data":{},"data_base64":"e30="}"#, "both"), (#"{\#(least),"Trace":"1"}"#, "'Trace'"),
        (#"{\#(least),"a-b":"1"}"#, "'a-b'"), (#"{\#(least),"ext":{}}"#, "\"ext\""),
        (#"{\#(least),"ext":1.5}"#, "\"ext\""),
        (#"{\#(least),"ext":2147483648}"#, "\"ext\""),
    ])
    func whatIsNoneIsRefusedAndSaidWhy(text: String, problem: String) throws {
        let error = try #require(throws: MeshEventsError.self) { try CloudEvent(json: text) }
        #expect(error.code == .invalidData)
        #expect(error.message.contains(problem), "\(error.message)")
    }

    @Test func aTypeThatIsNoneOfTheMeshsIsRefused() throws {
        let cloudEvent = try CloudEvent(json: #"{"specversion":"1.0","id":"1","source":"a","type":"not > a type"}"#)
        let error = try #require(throws: MeshEventsError.self) { try cloudEvent.event() }
        #expect(error.code == .invalidEventType)
    }

    @Test func aBatchIsRead() throws {
        let events = try CloudEvent.batch(json: #"[{\#(Self.least)}, {\#(Self.least),"data":{"a":1}}]"#.utf8)
        #expect(events.map(\.data) == [nil, ["a": 1]])
        #expect(try CloudEvent.batch(json: "[]".utf8).isEmpty)
        for (text, problem) in [
            ("[{\(Self.least)},{}]", "event 2: it has no"), ("[7]", "event 1 is no object"),
            ("[null]", "event 1 is no object"),
            ("{}", "array"), ("[", "array"), ("[],\"x\":1", "array"), ("[],\"batch\":[]", "array"), ("", "array"),
        ] {
            let error = try #require(throws: MeshEventsError.self) { try CloudEvent.batch(json: text.utf8) }
            #expect(error.code == .invalidData && error.message.contains(problem), "\(text): \(error.message)")
        }
    }
}
