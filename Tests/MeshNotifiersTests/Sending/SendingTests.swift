import MeshAlerts
import MeshEvents
import TestSupport
import Testing

@testable import MeshNotifiers

/// Requests that real sockets carry.
struct SendingTests {
    /// Sends one notification to a receiver; the answer, or the failure.
    private func outcome(
        timeout: Duration = .seconds(10),
        environment: [String: String] = [:],
        _ answer: @escaping @Sendable (Receiver.Request) -> Receiver.Answer
    ) async throws -> Result<String, NotificationFailure> {
        try await Receiver.with(answer) { receiver in
            try await send(to: "http://127.0.0.1:\(receiver.port)/services/T0/secret", timeout, environment)
        }
    }

    private func send(
        to url: String,
        _ timeout: Duration = .seconds(10),
        _ environment: [String: String] = [:],
        ca: String? = nil
    ) async throws -> Result<String, NotificationFailure> {
        let configuration = NotifierConfiguration.slack(try SlackConfiguration(url: url, timeout: timeout))
        let settings = NotifierClient.Configuration(environment: environment, certificateAuthority: ca)
        return await NotifierClient.with(settings) { client in
            do throws(NotificationFailure) {
                return .success(try await configuration.makeNotifier(client: client).notify(.sample()))
            } catch {
                #expect(!error.message.contains("secret") && !error.message.contains("T0"), "\(error.message)")
                return .failure(error)
            }
        }
    }

    private func failure(_ result: Result<String, NotificationFailure>) throws -> NotificationFailure {
        switch result {
        case .success(let answer): throw TestSupportError("It was sent: \(answer)")
        case .failure(let failure): return failure
        }
    }

    @Test func oneRequestArrivesAsItWasMade() async throws {
        try await Receiver.with({ _ in .status(204) }) { receiver in
            let answer = try await send(to: "http://u:p@127.0.0.1:\(receiver.port)/services/T0/secret?a=b").get()
            #expect(answer == "204 No Content")
            #expect(receiver.requests.count == 1)
            let request = try #require(receiver.requests.first)
            #expect(request.line == "POST /services/T0/secret?a=b HTTP/1.1")
            #expect(request.header("Content-Type") == "application/json")
            #expect(request.header("Authorization") == "Basic dTpw")
            #expect(request.header("Host") == "127.0.0.1:\(receiver.port)")
            #expect(try EventData(json: request.body)["blocks"] != nil)
        }
    }

    @Test func aPhraseOfTheTargetIsNotShown() async throws {
        #expect(try await outcome { _ in .status(299) }.get() == "299")
    }

    @Test func tooManyRequestsSayHowLongToWait() async throws {
        let seconds = try failure(await outcome { _ in .status(429, fields: ["Retry-After: 7"]) })
        #expect(!seconds.isFinal)
        #expect(seconds.retryAfter == .seconds(7))
        let date = try failure(
            await outcome { _ in .status(503, fields: ["Retry-After: Fri, 31 Dec 2100 23:59:59 GMT"]) }
        )
        #expect(date.retryAfter == .seconds(86_400))
        let body = try await Receiver.with({ _ in .status(429, body: #"{"retry_after": 0.5}"#) }) { receiver in
            let target = try DiscordConfiguration(url: "http://127.0.0.1:\(receiver.port)/api/webhooks/1/secret")
            return await NotifierClient.with { client in
                await thrownError { () async throws(NotificationFailure) in
                    _ = try await DiscordNotifier(configuration: target, client: client).notify(.sample())
                }
            }
        }
        #expect(body?.retryAfter == .milliseconds(500))
    }

    @Test func whatAPersonCanPutRightIsTriedAgainAndARefusedNotificationIsNot() async throws {
        let error = try failure(await outcome { _ in .status(500, body: "at /services/T0/secret") })
        #expect(!error.isFinal)
        #expect(error.message.contains("answered 500 Internal Server Error: at [redacted]"))
        let refusal = try failure(await outcome { _ in .status(403, body: "invalid_token") })
        #expect(!refusal.isFinal)
        #expect(try failure(await outcome { _ in .status(422, body: "no such field") }).isFinal)
        #expect(refusal.message.contains("answered 403 Forbidden") && refusal.message.hasSuffix(": invalid_token"))
    }

    @Test func aRedirectIsNotFollowed() async throws {
        try await Receiver.with { other in
            let port = other.port
            let error = try failure(
                await outcome { _ in .status(307, fields: ["Location: http://127.0.0.1:\(port)/services/T0/secret"]) }
            )
            #expect(error.message.contains("redirects are not followed"))
            #expect(!error.isFinal)
            #expect(other.requests.isEmpty)
        }
    }

    @Test func whatNeverAnswersEndsAtTheTimeOut() async throws {
        let began = ContinuousClock.now
        let error = try failure(await outcome(timeout: .milliseconds(300)) { _ in .hang })
        #expect(error.message.contains("no answer within 0.3 seconds"))
        #expect(!error.isFinal)
        #expect(ContinuousClock.now - began < .seconds(30))
    }

    @Test(arguments: [
        Receiver.Answer.close, .reset(after: "HTTP/1.1 200 OK\r\nContent-Le"), .reset(after: ""),
        .reset(after: "SSH-2.0-x\r\n"),
    ])
    func aBrokenAnswerCanBeTriedAgain(answer: Receiver.Answer) async throws {
        let error = try failure(await outcome { _ in answer })
        #expect(error.message.contains("was not reached"))
        #expect(!error.isFinal)
    }

    @Test(arguments: [
        Receiver.Answer.endless(200), .drip(200), .reset(after: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab"),
    ])
    func theStatusCountsWhateverBecomesOfTheBody(answer: Receiver.Answer) async throws {
        #expect(try await outcome { _ in answer }.get() == "200 OK")
    }

    @Test func anEndlessRefusalIsCut() async throws {
        let error = try failure(await outcome { _ in .endless(400) })
        #expect(error.isFinal)
        #expect(error.message.utf8.count < 400)
    }

    @Test func aClosedPortAndAnUnknownHostAreErrorsOfTheNetwork() async throws {
        let port = try freePorts(1)[0]
        let refused = try failure(await send(to: "http://127.0.0.1:\(port)/services/T0/secret"))
        #expect(!refused.isFinal)
        #expect(refused.message.hasPrefix("127.0.0.1:\(port) was not reached: "))
        // At once, not when the time for a connection is up.
        #expect(refused.message.lowercased().contains("refused"), "\(refused.message)")
        let unknown = try failure(await send(to: "http://host.invalid/services/T0/secret", .seconds(5)))
        #expect(!unknown.isFinal)
        #expect(unknown.message.hasPrefix("host.invalid was not reached: "))
    }

    @Test func afterTheShutdownNothingIsSent() async throws {
        try await Receiver.with { receiver in
            let client = NotifierClient()
            await client.shutdown()
            let target = try SlackConfiguration(url: "http://127.0.0.1:\(receiver.port)/x")
            let error = await thrownError { () async throws(NotificationFailure) in
                _ = try await SlackNotifier(configuration: target, client: client).notify(.sample())
            }
            #expect(error?.message.contains("shut down") == true)
            #expect(receiver.requests.isEmpty)
        }
    }

    @Test func aCancelledTaskStopsSending() async throws {
        try await Receiver.with({ _ in .hang }) { receiver in
            let target = try SlackConfiguration(url: "http://127.0.0.1:\(receiver.port)/x")
            await NotifierClient.with { client in
                await withTaskGroup(of: Void.self) { group in
                    group.addTask {
                        _ = await thrownError { () async throws(NotificationFailure) in
                            _ = try await SlackNotifier(configuration: target, client: client).notify(.sample())
                        }
                    }
                    try? await eventually("the request") { receiver.requests.count == 1 }
                    group.cancelAll()
                }
            }
        }
    }

    // MARK: TLS

    @Test func onlyACertificateThatIsTrustedWillDo() async throws {
        let certificates = try await Certificates.make()
        try await Receiver.with(certificates: certificates) { receiver in
            let url = "https://localhost:\(receiver.port)/services/T0/secret"
            let unknown = try failure(await send(to: url))
            #expect(unknown.message.contains("its certificate is not trusted"), "\(unknown.message)")
            #expect(!unknown.isFinal)
            _ = try failure(await send(to: url, ca: certificates.otherCA))
            #expect(receiver.requests.isEmpty)
            #expect(try await send(to: url, ca: certificates.ca).get() == "200 OK")
            #expect(receiver.requests.count == 1)
        }
    }

    @Test(arguments: [("DNS:other.example", 2), ("DNS:localhost", -1)])
    func aCertificateOfAnotherNameOrTimeIsRefused(names: String, days: Int) async throws {
        let certificates = try await Certificates.make(names: names, days: days)
        try await Receiver.with(certificates: certificates) { receiver in
            let url = "https://localhost:\(receiver.port)/services/T0/secret"
            _ = try failure(await send(to: url, ca: certificates.ca))
            #expect(receiver.requests.isEmpty)
        }
    }

    @Test func aHandshakeThatNeverComesEndsInTime() async throws {
        try await Receiver.with({ _ in .hang }) { receiver in
            var settings = NotifierClient.Configuration(environment: [:])
            settings.connectTimeout = .milliseconds(300)
            let target = try SlackConfiguration(url: "https://127.0.0.1:\(receiver.port)/services/T0/secret")
            let error = await NotifierClient.with(settings) { client in
                await thrownError { () async throws(NotificationFailure) in
                    _ = try await SlackNotifier(configuration: target, client: client).notify(.sample())
                }
            }
            #expect(error?.message.contains("in time") == true, "\(error?.message ?? "")")
            #expect(error?.isFinal == false)
        }
    }

    // MARK: Proxies

    @Test func aProxyOfTheEnvironmentIsUsed() async throws {
        try await Receiver.with { proxy in
            let environment = ["HTTP_PROXY": "http://me:pw@127.0.0.1:\(proxy.port)", "no_proxy": "other.example"]
            let answer = try await send(to: "http://chat.invalid:8065/services/T0/secret", .seconds(10), environment)
                .get()
            #expect(answer == "200 OK")
            #expect(
                proxy.requests.map(\.line) == [
                    "CONNECT chat.invalid:8065 HTTP/1.1", "POST /services/T0/secret HTTP/1.1",
                ]
            )
            #expect(proxy.requests.first?.header("Proxy-Authorization") == "Basic bWU6cHc=")
            #expect(proxy.requests.last?.header("Proxy-Authorization") == nil)
            // A target of this machine is not reached through it.
            try await Receiver.with { target in
                _ = try await send(to: "http://127.0.0.1:\(target.port)/x", .seconds(10), environment).get()
                #expect(target.requests.count == 1)
            }
            #expect(proxy.requests.count == 2)
        }
    }

    @Test func aProxyThatRefusesIsNamed() async throws {
        for (status, words) in [(407, "asks for a login"), (403, "refused to connect")] {
            try await Receiver.with({ _ in .status(status) }) { proxy in
                let environment = ["https_proxy": "http://me:secret@127.0.0.1:\(proxy.port)"]
                let error = try failure(
                    await send(to: "https://chat.invalid/services/T0/secret", .seconds(10), environment)
                )
                #expect(error.message.contains("through the proxy 127.0.0.1:\(proxy.port)"))
                #expect(error.message.contains(words), "\(error.message)")
                #expect(proxy.requests.map(\.line) == ["CONNECT chat.invalid:443 HTTP/1.1"])
            }
        }
        let unusable = try failure(
            await send(to: "http://chat.invalid/x", .seconds(1), ["http_proxy": "socks5://secret:1"])
        )
        #expect(unusable.message.contains("http_proxy"))
    }
}
