import Foundation
import NATSClient
import Testing

@Suite("The configuration of a consumer")
struct ConsumerConfigurationTests {
    private func encode(_ configuration: ConsumerConfiguration) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        return String(decoding: try encoder.encode(configuration), as: UTF8.self)
    }

    @Test("a reader: in memory, nothing to acknowledge, gone when unused")
    func reader() throws {
        let text = try encode(.reader(start: .sequence(0), filterSubjects: ["events.tool.*"]))
        #expect(
            text == #"{"ack_policy":"none","deliver_policy":"by_start_sequence","filter_subject":"events.tool.*","#
                + #""inactive_threshold":10000000000,"mem_storage":true,"num_replicas":1,"opt_start_seq":1,"#
                + #""replay_policy":"instant"}"#
        )
    }

    @Test("several filters travel as a list, none as nothing")
    func filters() throws {
        let several = try encode(ConsumerConfiguration(filterSubjects: ["a", "b"]))
        #expect(several.contains(#""filter_subjects":["a","b"]"#))
        #expect(!several.contains(#""filter_subject":"#))
        #expect(!(try encode(ConsumerConfiguration()).contains("filter")))
    }

    @Test(
        "everything that is set comes back",
        arguments: [
            ConsumerConfiguration.Start.all, .new, .last, .lastPerSubject, .sequence(7),
            .time("2026-01-02T03:04:05.678901234Z"),
        ]
    )
    func roundTrip(start: ConsumerConfiguration.Start) throws {
        let configuration = ConsumerConfiguration(
            name: "d",
            durableName: "d",
            start: start,
            acknowledgementPolicy: .explicit,
            acknowledgementWait: .seconds(30),
            maximumDeliveries: 5,
            backoff: [.seconds(1), .milliseconds(2_500)],
            filterSubjects: ["events.>"],
            inactiveThreshold: .seconds(60),
            memoryStorage: true,
            replicas: 3,
            maximumAcknowledgementsPending: 100,
            maximumWaiting: 8,
            descriptionText: "words"
        )
        let data = try JSONEncoder().encode(configuration)
        #expect(try JSONDecoder().decode(ConsumerConfiguration.self, from: data) == configuration)
    }

    @Test("what a server answers and this type does not know goes back as it came")
    func otherFields() throws {
        let answer =
            #"{"ack_policy":"explicit","deliver_policy":"last_per_subject","durable_name":"d","headers_only":true,"#
            + #""max_batch":5,"max_bytes":1000,"max_expires":2000000000,"metadata":{"a":"b"},"num_replicas":0,"#
            + #""replay_policy":"original"}"#
        let configuration = try JSONDecoder().decode(ConsumerConfiguration.self, from: Data(answer.utf8))
        #expect(configuration.maximumRequestBatch == 5)
        #expect(configuration.maximumRequestBytes == 1_000)
        #expect(configuration.maximumRequestExpires == .seconds(2))
        #expect(try encode(configuration) == answer)
    }
}
