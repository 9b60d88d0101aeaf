import Foundation
import NATSClient
import Testing

@Suite("The configuration of a stream")
struct StreamConfigurationTests {
    /// What nats.go sends for a StreamConfig with Name, Subjects, MaxAge, MaxMsgs, Storage and Replicas.
    private let fromGo = """
        {"name":"MESH_EVENTS","subjects":["events.>"],"retention":"limits","max_consumers":0,"max_msgs":10000,\
        "max_bytes":0,"discard":"old","max_age":86400000000000,"max_msgs_per_subject":0,"storage":"file",\
        "num_replicas":1,"compression":"none","allow_direct":false,"mirror_direct":false,"consumer_limits":{}}
        """
    /// What nats-server 2.9.10 stores of it.
    private let storedBy29 = """
        {"name":"MESH_EVENTS","subjects":["events.\\u003e"],"retention":"limits","max_consumers":-1,\
        "max_msgs":10000,"max_bytes":-1,"max_age":86400000000000,"max_msgs_per_subject":-1,"max_msg_size":-1,\
        "discard":"old","storage":"file","num_replicas":1,"duplicate_window":120000000000,"allow_direct":false,\
        "mirror_direct":false,"sealed":false,"deny_delete":false,"deny_purge":false,"allow_rollup_hdrs":false}
        """
    /// What nats-server 2.15.1 stores of it.
    private let storedBy215 = """
        {"name":"MESH_EVENTS","subjects":["events.\\u003e"],"retention":"limits","max_consumers":-1,\
        "max_msgs":10000,"max_bytes":-1,"max_age":86400000000000,"max_msgs_per_subject":-1,"max_msg_size":-1,\
        "discard":"old","storage":"file","num_replicas":1,"duplicate_window":120000000000,"compression":"none",\
        "allow_direct":false,"mirror_direct":false,"sealed":false,"deny_delete":false,"deny_purge":false,\
        "allow_rollup_hdrs":false,"consumer_limits":{},"allow_msg_ttl":false,\
        "metadata":{"_nats.level":"5","_nats.req.level":"0","_nats.ver":"2.15.1"}}
        """

    private var ours: StreamConfiguration {
        var configuration = StreamConfiguration(name: "MESH_EVENTS", subjects: ["events.>"])
        configuration.maximumAge = .seconds(86_400)
        configuration.maximumMessages = 10_000
        return configuration
    }

    private func decode(_ text: String) throws -> StreamConfiguration {
        try JSONDecoder().decode(StreamConfiguration.self, from: Data(text.utf8))
    }

    @Test("the mesh's default equals what Go sends and what either server stores of it")
    func equalsGo() throws {
        #expect(ours.differences(from: try decode(fromGo)) == [])
        #expect(ours.differences(from: try decode(storedBy29)) == [])
        #expect(ours.differences(from: try decode(storedBy215)) == [])
        #expect(try decode(fromGo).differences(from: try decode(storedBy215)) == [])
    }

    @Test("only what was set is encoded")
    func encodesWhatIsSet() throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let text = String(decoding: try encoder.encode(ours), as: UTF8.self)
        #expect(
            text == #"{"discard":"old","max_age":86400000000000,"max_msgs":10000,"name":"MESH_EVENTS","#
                + #""num_replicas":1,"retention":"limits","storage":"file","subjects":["events.>"]}"#
        )
    }

    @Test("every field that differs is named, with both values, known to this client or not")
    func differences() throws {
        var other = try decode(storedBy215)
        other.maximumMessages = 5
        other.fields["allow_direct"] = true
        other.fields["made_up_later"] = ["x": 1]
        other.maximumAge = nil
        other.subjects = ["events.tool.>", "events.node.>"]
        other.fields["metadata"] = ["_nats.ver": "9", "owner": "me"]
        let found = ours.differences(from: other)
        #expect(
            found.map(\.field) == ["allow_direct", "made_up_later", "max_age", "max_msgs", "metadata", "subjects"]
        )
        #expect(found[3] == .init(field: "max_msgs", asked: 10_000, found: 5))
        #expect(found[2].asked.description == "86400000000000")
        #expect(found[2].found.description == "0")
        #expect(found[5].found.description == #"["events.node.>","events.tool.>"]"#)
    }

    @Test("a maximum age below two minutes is the default duplicate window, as servers decide")
    func shortAge() throws {
        var short = ours
        short.maximumAge = .seconds(30)
        var stored = try decode(storedBy29)
        stored.maximumAge = .seconds(30)
        stored.duplicateWindow = .seconds(30)
        #expect(short.differences(from: stored) == [])
    }

    @Test("no limit is no limit, however it is written")
    func unlimited() throws {
        var none = ours
        none.maximumMessages = nil
        var zero = ours
        zero.fields["max_msgs"] = 0
        var minus = ours
        minus.fields["max_msgs"] = -1
        #expect(none.differences(from: zero) == [])
        #expect(none.differences(from: minus) == [])
        #expect(minus.maximumMessages == nil)
    }

    @Test("a server's answer survives being read and written back")
    func roundTrip() throws {
        let read = try decode(storedBy215)
        let written = try JSONEncoder().encode(read)
        #expect(try JSONDecoder().decode(StreamConfiguration.self, from: written) == read)
        #expect(read.fields["consumer_limits"] == .object([:]))
        #expect(read.name == "MESH_EVENTS")
        #expect(read.storage == .file)
        #expect(read.duplicateWindow == .seconds(120))
    }

    @Test("durations beyond 64 bits of nanoseconds are cut")
    func longDurations() {
        var configuration = StreamConfiguration(name: "S", subjects: ["s"])
        for (age, expected) in [
            (Duration.seconds(1e19), Int64.max), (.seconds(-1e19), .min), (.seconds(Int64.max), .max),
            (.seconds(1), 1_000_000_000),
        ] {
            configuration.maximumAge = age
            #expect(configuration.fields["max_age"] == .integer(expected))
        }
    }

    @Test("a value's description is its JSON, members in the order of their names")
    func description() {
        let value: JetStreamValue = [
            "b": [nil, true, 7, .double(0.25), .double(-1e21)], "a\"": "x\n\t\u{1}\\é", "c": [:], "d": [],
        ]
        #expect(value.description == #"{"a\"":"x\n\t\u0001\\é","b":[null,true,7,0.25,-1e+21],"c":{},"d":[]}"#)
        #expect(JetStreamValue.double(.infinity).description == "inf")
    }
}
