import MeshEvents
import MeshEventsTesting
import Testing

/// A payload that writes what a test says.
private struct Written: EventPayload {
    static let eventType: EventType = "user.written"
    let body: @Sendable (inout EventDataWriter) throws(MeshEventsError) -> Void

    init(_ body: @escaping @Sendable (inout EventDataWriter) throws(MeshEventsError) -> Void) { self.body = body }
    init(eventData: EventData) throws(MeshEventsError) { throw MeshEventsError(.invalidData, "never read") }
    func write(to data: inout EventDataWriter) throws(MeshEventsError) { try body(&data) }
}

struct EventDataWriterTests {
    @Test func `each kind of value becomes the JSON that a literal of it becomes, in the order of writing`() throws {
        let written = Written { data in
            data.write("z", "a \"quote\"\n")
            data.write("bool", true)
            data.write("int", -12)
            data.write("small", UInt8(7))
            data.write("large", UInt64.max)
            data.write("double", 0.42)
            data.write("time", Timestamp(nanosecondsSinceEpoch: 1_764_104_268_123_456_789))
            data.write("array", [1, nil, "x"])
            data.write("data", ["a": 1] as EventData)
            data.write("null", EventData.null)
            data.object("inner") { inner in
                inner.object("empty") { _ in }
                inner.write("last", false)
            }
            data.write("quoted \" name", 1)
        }
        let expected =
            #"{"z":"a \"quote\"\n","bool":true,"int":-12,"small":7,"large":18446744073709551615,"double":0.42,"#
            + #""time":"2025-11-25T20:57:48.123456789Z","array":[1,null,"x"],"data":{"a":1},"null":null,"#
            + #""inner":{"empty":{},"last":false},"quoted \" name":1}"#
        #expect(try written.eventData().json == expected)
    }

    @Test func `members of other data are taken over as they are; of null and of an empty object there are none`()
        throws
    {
        let other = try EventData(json: #"{"b": 1.50, "a": "\u00e9"}"#)
        let written = Written { data in
            data.write(membersOf: nil)
            data.write(membersOf: other)
            data.write(membersOf: [:])
            data.write("c", 1)
            data.write(membersOf: other)
        }
        #expect(try written.eventData().json == #"{"b":1.50,"a":"\u00e9","c":1,"b":1.50,"a":"\u00e9"}"#)
        #expect(try Written { _ in }.eventData() == .empty)
    }

    @Test(arguments: [0, 100, 900, 1_000, 1_100, 5_000])
    func `what is emitted is what the data is, however long`(length: Int) async throws {
        let bus = EventBus(transport: InMemoryTransport(), node: "node-a")
        let written = Written { data in
            data.write("text", String(repeating: "x", count: length))
            data.object("n") { $0.write("n", length) }
        }
        let subscription = try await bus.subscribe(to: "events.user.written")
        try bus.emit(written)
        var events = subscription.makeAsyncIterator()
        let event = try #require(try await events.next())
        #expect(event.data.json == (try written.eventData().json))
        #expect(event.node == "node-a" && event.type == "user.written" && event.data["n"]?["n"]?.int == length)
        await bus.close()
    }

    @Test func `what JSON cannot express is an error, when emitted and when asked for as data`() async throws {
        let bus = EventBus(transport: InMemoryTransport(), node: "node-a")
        @Sendable func deep(_ levels: Int, _ data: inout EventDataWriter) {
            if levels > 0 { data.object("a") { deep(levels - 1, &$0) } }
        }
        let full = try EventData(
            json: String(repeating: #"{"a":"#, count: 126) + "1" + String(repeating: "}", count: 126)
        )
        let faults: [Written] = [
            Written { $0.write("nan", Double.nan) },
            Written { $0.write("infinite", [.init(Double.infinity)]) },
            Written { deep(127, &$0) },
            Written { data in data.object("a") { $0.write("b", full) } },
            Written { data in data.object("a") { $0.object("b") { $0.write(membersOf: full) } } },
            Written { $0.write("invalid", ["a": .init(Double.nan)] as EventData) },
            Written { $0.write(membersOf: ["a": .init(Double.nan)]) },
        ]
        for (index, fault) in faults.enumerated() {
            #expect(
                "fault \(index)",
                performing: { try bus.emit(fault) },
                throws: { ($0 as? MeshEventsError)?.code == .invalidData }
            )
            #expect(
                "fault \(index)",
                performing: { try fault.eventData() },
                throws: { ($0 as? MeshEventsError)?.code == .invalidData }
            )
        }
        // One level less is none too many.
        try bus.emit(Written { deep(126, &$0) })
        try bus.emit(Written { $0.write("b", full) })
        try bus.emit(Written { data in data.object("a") { $0.write(membersOf: full) } })
        await bus.close()
    }

    @Test func `what a payload throws reaches the caller, and nothing is sent`() async throws {
        let bus = EventBus(transport: InMemoryTransport(), node: "node-a")
        let subscription = try await bus.subscribe(to: "events.user.>")
        let fault = Written { data throws(MeshEventsError) in
            data.write("half", 1)
            throw MeshEventsError(.invalidData, "no more of it")
        }
        let error = #expect(throws: MeshEventsError.self) { try bus.emit(fault) }
        #expect(error?.message == "no more of it")
        try bus.emit("user.next")
        var events = subscription.makeAsyncIterator()
        #expect(try await events.next()?.type == "user.next")
        await bus.close()
    }
}
