import NIOCore
import NIOPosix
import NKeys
import Synchronization
import TestSupport
import Testing

@testable import NATSClient

/// Callbacks of a login: one at a time, each with a deadline, and their errors.
struct LoginCallbackTests {
    private let loop = MultiThreadedEventLoopGroup.singleton.next()

    /// What one question came to.
    private final class Answers: Sendable {
        let results = Mutex<[Result<Int, NATSError>]>([])
        var codes: [String] {
            results.withLock {
                $0.map { result in
                    switch result {
                    case .success(let value): "\(value)"
                    case .failure(let error): "\(error.code)"
                    }
                }
            }
        }
    }

    private func ask(
        _ callbacks: LoginCallbacks,
        _ answers: Answers,
        within limit: Duration = .seconds(60),
        _ body: @escaping @Sendable () async throws(NATSError) -> Int
    ) {
        loop.execute {
            callbacks.ask(within: limit, body) { result in answers.results.withLock { $0.append(result) } }
        }
    }

    @Test func anAnswerAndAnError() async throws {
        let (callbacks, answers) = (LoginCallbacks(loop), Answers())
        ask(callbacks, answers) { 7 }
        try await eventually("the answer") { answers.codes == ["7"] }
        ask(callbacks, answers) { () async throws(NATSError) in throw .callback("the token", TestSupportError("no")) }
        try await eventually("the error") { answers.codes == ["7", "authenticationFailed"] }
        guard case .failure(let error) = answers.results.withLock({ $0[1] }) else { return }
        #expect(error.message == "the callback for the token failed: no" && error.isRetriable)
    }

    @Test func aLateAnswerIsAnErrorAndTheCallbackIsCancelled() async throws {
        let (callbacks, answers) = (LoginCallbacks(loop), Answers())
        let wasCancelled = Atomic(false)
        ask(callbacks, answers, within: .milliseconds(20)) {
            try? await Task.sleep(for: .seconds(600))
            wasCancelled.store(Task.isCancelled, ordering: .relaxed)
            return 1
        }
        try await eventually("the deadline") { answers.codes == ["authenticationFailed"] }
        try await eventually("the cancellation") { wasCancelled.load(ordering: .relaxed) }
        #expect(answers.codes.count == 1)
    }

    @Test func aCallbackThatHangsIsNotCalledAgainMeanwhile() async throws {
        let (callbacks, answers) = (LoginCallbacks(loop), Answers())
        let calls = Atomic(0)
        let (gate, open) = AsyncStream.makeStream(of: Void.self)
        let hanging: @Sendable () async throws(NATSError) -> Int = {
            calls.add(1, ordering: .relaxed)
            // Does not heed the cancellation.
            await Task.detached { for await _ in gate {} }.value
            return 1
        }
        for number in 1...3 {
            ask(callbacks, answers, within: .milliseconds(20), hanging)
            try await eventually("deadline \(number)") { answers.codes.count == number }
        }
        #expect(calls.load(ordering: .relaxed) == 1)
        ask(callbacks, answers) { 5 }
        open.finish()
        try await eventually("the next question's answer") { answers.codes.last == "5" }
        #expect(answers.codes.count == 4 && calls.load(ordering: .relaxed) == 1)
    }

    @Test func aQuestionThatIsGivenUpIsNotAnswered() async throws {
        let (callbacks, answers) = (LoginCallbacks(loop), Answers())
        let (gate, open) = AsyncStream.makeStream(of: Void.self)
        ask(callbacks, answers) {
            for await _ in gate {}
            return 1
        }
        loop.execute { callbacks.cancel() }
        open.finish()
        ask(callbacks, answers) { 2 }
        try await eventually("the second answer") { answers.codes == ["2"] }
    }

    @Test func theQuestionsOfAConfiguration() async throws {
        let server = try ServerAddress("ws://host")
        var settings = NATSConnection.Configuration(servers: [server])
        #expect(settings.question(for: server) == nil)
        settings.authentication = .userPasswordProvider { ("me", "secret") }
        settings.webSocketHeaderProvider = { ["A": "b"] }
        let question = try #require(settings.question(for: server))
        let provided = try await question()
        #expect(provided.login?.user == "me" && provided.login?.password == "secret")
        #expect(provided.webSocketHeaders == ["A": "b"])
        // Without a WebSocket its header fields are not asked for.
        settings.authentication = .tokenProvider { "t" }
        settings.webSocketHeaderProvider = { throw TestSupportError("not to be asked") }
        let plain = try #require(settings.question(for: ServerAddress(host: "a")))
        #expect(try await plain().login?.token == "t")
    }

    @Test(arguments: [0, 63, 65]) func aSignatureHas64Bytes(count: Int) async throws {
        let key = NKey()
        let login = NATSAuthentication.nkeyProvider(publicKey: key.publicKey) { _ in [UInt8](repeating: 1, count: count)
        }
        guard case .unsigned(let sign) = try login.login(for: ServerAddress(host: "a"), nonce: "abc", answer: nil)
        else {
            Issue.record("nothing to sign")
            return
        }
        let error = await thrownError { () async throws(NATSError) in _ = try await sign() }
        #expect(error?.code == .authenticationFailed && error?.message.contains("\(count) bytes") == true)
    }

    @Test func anErrorOfACallbackBeforeTheFirstConnectionIsTriedAgainWhenThatIsWanted() {
        func machine(retries: Bool) -> ConnectionStateMachine {
            var machine = ConnectionStateMachine(
                servers: [ServerAddress(host: "a")],
                delay: ReconnectDelay(),
                retriesInitially: retries,
                maximumPasses: nil,
                tlsFirst: false,
                tlsRequired: false
            )
            _ = machine.start()
            return machine
        }
        let late = NATSError.callback("the token", TestSupportError("away"))
        var patient = machine(retries: true)
        #expect(!patient.failed(late).contains(.end))
        var impatient = machine(retries: false)
        #expect(impatient.failed(late).contains(.end))
        // What is wrong stays wrong.
        var wrong = machine(retries: true)
        #expect(wrong.failed(NATSError(.authenticationFailed, "refused")).contains(.end))
    }
}
