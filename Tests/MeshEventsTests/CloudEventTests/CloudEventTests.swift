import MeshEventsInterop
import MeshEventsTesting
import Testing

@testable import MeshEvents

/// Events of the mesh as CloudEvents in structured mode, and back.
struct CloudEventTests {
    private let crashed = Event(
        .toolCrashed,
        node: "node-a",
        timestamp: Timestamp(nanosecondsSinceEpoch: 1_764_000_000_123_456_789),
        data: ["error": "out of memory", "restart_count": 2, "tool": "whisper"]
    )

    @Test func theAttributesAreWhatTheEventSays() throws {
        let stored = StoredEvent(event: crashed, sequence: 4_711, storedAt: Timestamp(nanosecondsSinceEpoch: 1_000))
        #expect(
            try CloudEvent(stored).json()
                == #"{"specversion":"1.0","id":"4711-rs","source":"/mesh/nodes/node-a","type":"tool.crashed","#
                + #""subject":"whisper","time":"2025-11-24T16:00:00.123456789Z","datacontenttype":"application/json","#
                + #""sequence":"00000000000000004711","stored":"1970-01-01T00:00:00.000001Z","#
                + #""data":{"error":"out of memory","restart_count":2,"tool":"whisper"}}"#
        )
    }

    @Test func sequencesSortAsText() throws {
        let sequences: [UInt64] = [1, 9, 10, 99, 100, .max]
        let texts = try sequences.map {
            try CloudEvent(StoredEvent(event: crashed, sequence: $0, storedAt: .epoch)).extensions["sequence"]?.string
        }
        let found = texts.compactMap { $0 }
        #expect(found.count == 6 && found == found.sorted() && found.allSatisfy { $0.count == 20 })
    }

    @Test func anIdIsTheSameForAllWhoReceiveItAndForNoOtherEvent() throws {
        #expect(try CloudEvent(crashed).id == CloudEvent(crashed).id)
        var ids: Set = [try CloudEvent(crashed).id]
        var other = crashed
        other.timestamp.nanosecondsSinceEpoch += 1
        ids.insert(try CloudEvent(other).id)
        other = crashed
        other.node = "node-b"
        ids.insert(try CloudEvent(other).id)
        other = crashed
        other.data = ["error": "out of memory", "restart_count": 3, "tool": "whisper"]
        ids.insert(try CloudEvent(other).id)
        // The same sequence in a stream that was made anew is another event.
        for time in [Int64(1), 2] {
            let stored = StoredEvent(event: crashed, sequence: 1, storedAt: Timestamp(nanosecondsSinceEpoch: time))
            ids.insert(try CloudEvent(stored).id)
        }
        #expect(ids.count == 6)
    }

    @Test(arguments: [
        "node-a", "", "a b", "Grüße/€😀", "a%20b", "\"<>\\", "x\r\nce-id: y", "/mesh/nodes/x", "..", "ü\u{0}",
    ])
    func anyNodeComesBack(node: String) throws {
        var event = crashed
        event.node = node
        let source = try CloudEvent(event).source
        #expect(source.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F })
        #expect(source.dropFirst("/mesh/nodes/".count).contains("/") == false)
        #expect(try CloudEvent(json: CloudEvent(event).json()).event() == event)
    }

    @Test(arguments: GoEvents.all) func whatGoSentComesBackEqual(message: GoEvents.Message) throws {
        let event = try decode(message.payload, subject: message.subject)
        let back = try CloudEvent(json: CloudEvent(event).json())
        #expect(try back.event() == event)
        #expect(back == (try CloudEvent(event)))
        // Every digit and every escape of the data, too.
        #expect(try encoded(back.event()) == encoded(event))
    }

    @Test func onlyToolsAreASubject() throws {
        #expect(try CloudEvent(Event("user.x", data: ["tool": "whisper"])).subject == nil)
        #expect(try CloudEvent(Event(.toolStarted, data: ["tool": ""])).subject == nil)
        #expect(try CloudEvent(Event(.toolStarted, data: ["tool": "a\nb"])).subject == nil)
        #expect(try CloudEvent(Event(.toolStarted, data: ["tool": "a b"])).subject == "a b")
    }

    @Test func whatCannotBeSentIsNoCloudEvent() {
        #expect(throws: MeshEventsError.self) { try CloudEvent(Event("user.x", data: ["a": .init(Double.nan)])) }
        #expect(throws: MeshEventsError.self) { try CloudEvent(Event("a b")) }
        let stored = StoredEvent(event: Event("a b"), sequence: 1, storedAt: .epoch)
        #expect(throws: MeshEventsError.self) { try CloudEvent(stored) }
        let invalid = CloudEvent(id: "1", source: "x", type: "y", data: ["a": .init(Double.infinity)])
        #expect(throws: MeshEventsError.self) { try invalid.json() }
    }
}
