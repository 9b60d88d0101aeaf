import Foundation
import Testing

@testable import NATSClient

@Suite("The configuration of a bucket")
struct KeyValueConfigurationTests {
    @Test("a bucket is the stream that ADR-8 describes")
    func stream() throws {
        // What nats.go sends; fields that its encoder leaves out when they are zero are not in it.
        let expected = """
            {"name":"KV_CONFIGURATION","description":"words","subjects":["$KV.CONFIGURATION.>"],"retention":"limits",\
            "max_consumers":-1,"max_msgs":-1,"max_bytes":1000,"discard":"new","max_age":60000000000,\
            "max_msgs_per_subject":5,"max_msg_size":100,"storage":"memory","num_replicas":3,\
            "duplicate_window":60000000000,"allow_rollup_hdrs":true,"deny_delete":true,"allow_direct":true}
            """
        let configuration = KeyValueBucket.Configuration(
            bucket: "CONFIGURATION",
            description: "words",
            history: 5,
            timeToLive: .seconds(60),
            maximumValueSize: 100,
            maximumBytes: 1_000,
            storage: .memory,
            replicas: 3
        )
        try configuration.validate()
        let stream = try JSONDecoder().decode(StreamConfiguration.self, from: Data(expected.utf8))
        #expect(configuration.stream == stream)
    }

    @Test("without limits they are named as such; message ids are remembered for two minutes")
    func defaults() throws {
        let stream = KeyValueBucket.Configuration(bucket: "b").stream
        #expect(stream.fields["max_bytes"] == -1 && stream.fields["max_msg_size"] == -1)
        #expect(stream.fields["max_msgs_per_subject"] == 1)
        #expect(stream.fields["max_age"] == nil && stream.fields["description"] == nil)
        #expect(stream.fields["allow_msg_ttl"] == nil)
        #expect(stream.duplicateWindow == .seconds(120))
        #expect(
            KeyValueBucket.Configuration(bucket: "b", timeToLive: .seconds(300)).stream.duplicateWindow == .seconds(120)
        )
        let others = KeyValueBucket.Configuration(bucket: "b", allowsDirectGet: false, allowsValueTimeToLive: true)
            .stream
        #expect(others.fields["allow_direct"] == false && others.fields["allow_msg_ttl"] == true)
    }

    @Test("values outside their ranges are refused")
    func ranges() throws {
        var configurations: [KeyValueBucket.Configuration] = []
        func add(_ change: (inout KeyValueBucket.Configuration) -> Void) {
            var configuration = KeyValueBucket.Configuration(bucket: "b")
            change(&configuration)
            configurations.append(configuration)
        }
        for history in [0, -1, 65, .max] { add { $0.history = history } }
        for replicas in [0, 6] { add { $0.replicas = replicas } }
        for time in [Duration.zero, .milliseconds(99), .seconds(-1), .seconds(Int64.max)] {
            add { $0.timeToLive = time }
        }
        for size in [0, -1, Int(Int32.max) + 1] { add { $0.maximumValueSize = size } }
        for bytes in [0, -1] as [Int64] { add { $0.maximumBytes = bytes } }
        add { $0.description = String(repeating: "é", count: 2_049) }
        for configuration in configurations {
            let error = #expect(throws: KeyValueError.self, "\(configuration)") { try configuration.validate() }
            #expect(error?.code == .invalidConfiguration)
        }
        for history in [1, 64] { try KeyValueBucket.Configuration(bucket: "b", history: history).validate() }
        try KeyValueBucket.Configuration(bucket: "b", timeToLive: .milliseconds(100)).validate()
    }
}
