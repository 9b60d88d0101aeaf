import Foundation
import LocalNATSServer
import NATSClient
import NIOCore
import TestSupport
import Testing

@Suite("JetStream: conditions, messages that expire, acknowledgements", .timeLimit(.minutes(2)))
struct JetStreamPublishingTests {
    private func code(_ body: () async throws(JetStreamError) -> Void) async -> JetStreamError.ErrorCode? {
        await thrownError(body)?.errorCode
    }

    @Test("a message is stored only if the newest one is the expected one", arguments: NATSServers.all)
    func expectations(binary: NATSServers.Binary) async throws {
        try await withJetStream(binary) { jetStream, _ in
            _ = try await jetStream.createStream(StreamConfiguration(name: "S", subjects: ["s.>"]))
            func publish(_ subject: String, _ expectation: JetStream.Expectation) async throws(JetStreamError) {
                _ = try await jetStream.publish(payload("x"), to: subject, expectation: expectation)
            }
            try await publish("s.a", .lastSequence(0))
            #expect(
                await code { () async throws(JetStreamError) in try await publish("s.a", .lastSequence(7)) }
                    == .wrongLastSequence
            )
            try await publish("s.b", .lastSubjectSequence(0))
            try await publish("s.a", .lastSubjectSequence(1))
            #expect(
                await code { () async throws(JetStreamError) in try await publish("s.a", .lastSubjectSequence(1)) }
                    == .wrongLastSequence
            )
            _ = try await jetStream.publish(payload("x"), to: "s.c", messageID: "mine")
            try await publish("s.c", .lastMessageID("mine"))
            #expect(
                await code { () async throws(JetStreamError) in try await publish("s.c", .lastMessageID("other")) }
                    == .wrongLastMessageID
            )
            #expect(try await jetStream.streamInfo("S").state.lastSequence == 5)
        }
    }

    @Test("the same for a pattern, on servers that know it")
    func expectationOfAPattern() async throws {
        try await withJetStream(NATSServers.current) { jetStream, server in
            guard !server.version.hasPrefix("2.9.") else { return }
            _ = try await jetStream.createStream(StreamConfiguration(name: "S", subjects: ["s.>"]))
            _ = try await jetStream.publish(payload("x"), to: "s.a.1")
            _ = try await jetStream.publish(payload("x"), to: "s.b.1")
            let matching = JetStream.Expectation.lastSequenceMatching(pattern: "s.a.*", 1)
            _ = try await jetStream.publish(payload("x"), to: "s.a.2", expectation: matching)
            let again = await code { () async throws(JetStreamError) in
                _ = try await jetStream.publish(payload("x"), to: "s.a.3", expectation: matching)
            }
            #expect(again == .wrongLastSequence || again == .wrongLastSequenceConstant)
        }
    }

    @Test("a message that expires; a stream that does not allow it; a time that is too short")
    func timeToLive() async throws {
        try await withJetStream(NATSServers.current) { jetStream, server in
            guard !server.version.hasPrefix("2.9.") else { return }
            var configuration = StreamConfiguration(name: "S", subjects: ["s.>"])
            configuration.allowsMessageTimeToLive = true
            let stream = try await jetStream.createStream(configuration)
            #expect(stream.configuration.allowsMessageTimeToLive)
            _ = try await jetStream.publish(payload("brief"), to: "s.a", timeToLive: .seconds(1))
            _ = try await jetStream.publish(payload("long"), to: "s.a", timeToLive: .seconds(3_600))
            _ = try await jetStream.publish(payload("ever"), to: "s.a")
            try await eventually("the first message to expire") {
                try await jetStream.streamInfo("S").state.firstSequence == 2
            }
            #expect(try await jetStream.streamInfo("S").state.messages == 2)
            let short = await thrownError { () async throws(JetStreamError) in
                _ = try await jetStream.publish(payload("x"), to: "s.a", timeToLive: .milliseconds(999))
            }
            #expect(short?.kind == .invalidArgument)
            _ = try await jetStream.createStream(StreamConfiguration(name: "T", subjects: ["t.>"]))
            let refused = await code { () async throws(JetStreamError) in
                _ = try await jetStream.publish(payload("x"), to: "t.a", timeToLive: .milliseconds(1_500))
            }
            #expect(refused == .messageTTLDisabled)
        }
    }

    @Test("acknowledgements: done, again, in progress, terminated", arguments: NATSServers.all)
    func acknowledgements(binary: NATSServers.Binary) async throws {
        try await withJetStream(binary) { jetStream, _ in
            _ = try await jetStream.createOrUpdateStream(StreamConfiguration(name: "S", subjects: ["s.>"]))
            for number in 1...3 { _ = try await jetStream.publish(payload("\(number)"), to: "s.a") }
            _ = try await jetStream.createConsumer(ConsumerConfiguration(durableName: "c"), on: "S")
            func fetch(_ count: Int) async throws(JetStreamError) -> [JetStreamMessage] {
                try await jetStream.fetch(PullRequest(batch: count), from: "c", on: "S", timeout: .seconds(30))
            }
            let messages = try await fetch(3)
            try await jetStream.acknowledgeAndWait(messages[0])
            try await jetStream.acknowledgeAndWait(messages[1], .terminate())
            try jetStream.acknowledge(messages[2], .inProgress)
            try await jetStream.acknowledgeAndWait(messages[2], .again())
            let again = try await fetch(1)
            #expect(again.map(\.position.streamSequence) == [3] && again.map(\.position.deliveries) == [2])
            try await jetStream.acknowledgeAndWait(again[0])
            let state = try await jetStream.consumerInfo("c", on: "S")
            #expect(state.acknowledgementsPending == 0 && state.pending == 0)
        }
    }

    @Test("one message is found and deleted; a stream is created, then changed", arguments: NATSServers.all)
    func messages(binary: NATSServers.Binary) async throws {
        try await withJetStream(binary) { jetStream, _ in
            var configuration = StreamConfiguration(name: "S", subjects: ["s.>"])
            _ = try await jetStream.createOrUpdateStream(configuration)
            configuration.maximumMessages = 10
            #expect(try await jetStream.createOrUpdateStream(configuration).configuration.maximumMessages == 10)
            for number in 1...3 { _ = try await jetStream.publish(payload("\(number)"), to: "s.\(number)") }
            #expect(try await jetStream.lastMessage(to: "s.*", on: "S")?.sequence == 3)
            try await jetStream.deleteMessage(3, on: "S")
            try await jetStream.deleteMessage(1, on: "S", overwrites: true)
            #expect(try await jetStream.lastMessage(to: "s.*", on: "S")?.sequence == 2)
            #expect(try await jetStream.streamInfo("S").state.messages == 1)
            let gone = await thrownError { () async throws(JetStreamError) in
                try await jetStream.deleteMessage(1, on: "S")
            }
            #expect(gone?.kind == .api)
        }
    }

    @Test("a consumer pauses, on servers that know it")
    func pause() async throws {
        try await withJetStream(NATSServers.current) { jetStream, server in
            guard !server.version.hasPrefix("2.9.") else { return }
            _ = try await jetStream.createStream(StreamConfiguration(name: "S", subjects: ["s.>"]))
            _ = try await jetStream.createConsumer(ConsumerConfiguration(durableName: "c"), on: "S")
            _ = try await jetStream.publish(payload("x"), to: "s.a")
            #expect(try await jetStream.pauseConsumer("c", on: "S", until: "2100-01-01T00:00:00Z"))
            let request = PullRequest(batch: 1, expires: .milliseconds(200))
            #expect(try await jetStream.fetch(request, from: "c", on: "S").isEmpty)
            #expect(try await !jetStream.pauseConsumer("c", on: "S", until: nil))
            #expect(
                try await jetStream.fetch(PullRequest(batch: 1), from: "c", on: "S", timeout: .seconds(30)).count == 1
            )
        }
    }
}
