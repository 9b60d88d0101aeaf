import MeshAlerts
import MeshEvents
import MeshLogging

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// What sends alerts by HTTP: one for all targets of a program.
///
/// - Certificates are verified, against the system's authorities and ``Configuration/certificateAuthority``; TLS 1.2 or
///   newer.
/// - Proxies are those of the variables `http_proxy`, `https_proxy` and `no_proxy`, in capitals too. A request goes through
///   a proxy by `CONNECT`, also to `http://` addresses. This machine is never reached through a proxy.
/// - Redirects are not followed: they would take a secret elsewhere.
/// - A connection has to be established within 5 seconds, and a whole exchange within the target's own time-out.
/// - An answer 2xx is a success. After 408, 425, 429, 5xx and errors of the network the notification can be sent again;
///   every other answer is final. `Retry-After` is passed on, at most a day.
/// - Of an answer at most 8 KiB are read. An error shows the first 200 characters, without the target's secrets.
///
/// Errors name the target's host, and never its path, query, token or login. It writes no log lines and no traces.
public final class NotifierClient: Sendable {
    /// How it connects.
    public struct Configuration: Sendable, CustomStringConvertible, CustomReflectable {
        /// The environment in which proxies are looked for; that of this process by default.
        public var environment: [String: String]
        /// The path of a PEM file with authorities that are trusted besides the system's; `nil` for none.
        public var certificateAuthority: String?
        /// How long a connection may take, TLS and a proxy included: 5 seconds by default.
        public var connectTimeout: Duration = .seconds(5)

        /// Creates a configuration.
        public init(environment: [String: String]? = nil, certificateAuthority: String? = nil) {
            self.environment = environment ?? ProcessInfo.processInfo.environment
            self.certificateAuthority = certificateAuthority
        }

        /// Nothing of it: an environment holds secrets.
        public var description: String { "[notifier client]" }
        /// Nothing of it.
        public var customMirror: Mirror { Mirror(self, children: []) }
    }

    private let proxies: ProxySettings
    private let exchange: HTTPExchange

    /// Creates a client. It connects when something is sent. Its owner calls ``shutdown()`` at the end; see
    /// ``with(_:_:)``.
    public init(configuration: Configuration = Configuration()) {
        proxies = ProxySettings(environment: configuration.environment)
        exchange = HTTPExchange(
            certificateAuthority: configuration.certificateAuthority,
            connectTimeout: configuration.connectTimeout
        )
    }

    /// Runs `body` with a client, and closes its connections afterwards.
    ///
    /// - Throws: what `body` throws.
    public static func with<Result, Failure: Error>(
        _ configuration: Configuration = Configuration(),
        _ body: (NotifierClient) async throws(Failure) -> Result
    ) async throws(Failure) -> Result {
        let client = NotifierClient(configuration: configuration)
        do throws(Failure) {
            let result = try await body(client)
            await client.shutdown()
            return result
        } catch {
            await client.shutdown()
            throw error
        }
    }

    /// Closes all connections; what is being sent fails, and so does what is sent afterwards.
    public func shutdown() async { await exchange.shutdown() }

    /// Sends a request once.
    ///
    /// - Returns: the status of the answer: `200 OK`.
    /// - Throws: when the answer is no 2xx, or there is none.
    func send(_ request: TargetRequest) async throws(NotificationFailure) -> String {
        let target = request.address.authority
        let proxy: ProxySettings.Proxy?
        do throws(NotifierConfigurationError) {
            proxy = try proxies.proxy(for: request.address)
        } catch {
            throw NotificationFailure("\(target) was not reached: \(error)")
        }
        let redaction = Redaction(request.secrets + request.address.secrets)
        let answer: HTTPAnswer
        do throws(HTTPProblem) {
            answer = try await exchange.answer(to: request, through: proxy)
        } catch {
            let way = proxy.map { " through the proxy \($0.authority)" } ?? ""
            let problem = redaction.redact(error.description).oneLine
            throw NotificationFailure("\(target) was not reached\(way): \(problem)".cut(to: Self.longestMessage))
        }
        if (200..<300).contains(answer.status) { return answer.statusText }
        throw Self.failure(answer, request, redaction, now: .now)
    }

    private static let longestMessage = 500
    private static let longestExcerpt = 200

    /// What an answer other than 2xx says.
    static func failure(
        _ answer: HTTPAnswer,
        _ request: TargetRequest,
        _ redaction: Redaction,
        now: Timestamp
    ) -> NotificationFailure {
        var message = "\(request.address.authority) answered \(answer.statusText)"
        switch answer.status {
        case 300..<400: message += ": redirects are not followed; configure the address that it leads to"
        case 401, 403, 407: message += ": check the target's token, login or address"
        case 404, 410: message += ": check the target's address"
        default: break
        }
        let text = redaction.redact(String(decoding: answer.body, as: UTF8.self))
        let excerpt = text.split(whereSeparator: \.isWhitespace).joined(separator: " ").oneLine
        if !excerpt.isEmpty, !(300..<400).contains(answer.status) { message += ": \(excerpt.cut(to: longestExcerpt))" }
        // What a person or a proxy can put right is tried again: a wrong token, a page that asks for a login, a moved address.
        let isFinal = [400, 413, 422].contains(answer.status)
        var retryAfter: Duration?
        if !isFinal {
            retryAfter =
                answer.retryAfter.flatMap { RetryAfter.duration($0, now: now) } ?? request.retryAfter?(answer.body)
        }
        return NotificationFailure(message.cut(to: longestMessage), isFinal: isFinal, retryAfter: retryAfter)
    }
}

/// A request to a target: always a POST.
struct TargetRequest: Sendable {
    /// Where it goes; it names the target in errors.
    var address: TargetAddress
    /// The whole address, without a login.
    var url: String
    /// The type of the body.
    var contentType: String
    /// Header fields besides `Content-Type`, `Content-Length`, `User-Agent` and `Host`. No text of an event is in them.
    var headers: [(name: String, value: String)] = []
    /// The body.
    var body: [UInt8]
    /// How long the whole exchange may take.
    var timeout: Duration
    /// What must not be shown, besides the parts of the address.
    var secrets: [String] = []
    /// Reads how long to wait from the answer's body, where the header does not say it.
    var retryAfter: (@Sendable ([UInt8]) -> Duration?)?

    /// The value of a header field; `nil` when there is none.
    func header(_ name: String) -> String? { headers.first { $0.name.lowercased() == name.lowercased() }?.value }
}

/// What a target answered.
struct HTTPAnswer: Sendable {
    var status: Int
    /// The phrase that the standard has for the status; empty for others. Never what the target wrote.
    var phrase: String
    /// The value of `Retry-After`.
    var retryAfter: String?
    /// The beginning of the body.
    var body: [UInt8] = []

    /// `200 OK`.
    var statusText: String { phrase.isEmpty ? "\(status)" : "\(status) \(phrase)" }
}

/// Why there was no answer.
struct HTTPProblem: Error, CustomStringConvertible {
    let description: String
}

/// A notifier that sends one request for each notification.
protocol RequestingNotifier: AlertNotifier {
    var client: NotifierClient { get }

    /// The request.
    ///
    /// - Parameter now: the time of sending.
    /// - Throws: when the notification cannot be sent to this target.
    func request(for notification: AlertNotification, now: Timestamp) throws(NotificationFailure) -> TargetRequest
}

extension RequestingNotifier {
    func notify(_ notification: AlertNotification) async throws(NotificationFailure) -> String {
        try await client.send(request(for: notification, now: .now))
    }
}
