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
            ConsumerConfiguration.Start.all, .new, .last, .sequence(7), .time("2026-01-02T03:04:05.678901234Z"),
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
}
