import HTTPTypes
import Hummingbird
import MeshConcurrency
import NIOCore
import NIOHTTP1

/// Passes on requests that ``AccessPolicy`` and ``Login`` accept, and turns errors into answers. It adds headers to
/// every answer that restrict the browser to what this page needs.
///
/// It runs after the router has matched the route, and for requests that match none.
struct AccessMiddleware: RouterMiddleware {
    let policy: AccessPolicy
    /// `nil` when no login is required.
    let login: Login?
    /// The login for the metrics alone; `nil` when they have none of their own.
    let metricsLogin: Login?
    let connections: ConnectionTable
    private let budget = AnswerBudget()

    /// Allows only this server's scripts and connections, no conversion of text to markup
    /// (`require-trusted-types-for`), and no frames.
    private static let contentSecurityPolicy = """
        default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
        manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
        require-trusted-types-for 'script'; trusted-types 'none'
        """

    func handle(
        _ request: Request,
        context: DashboardContext,
        next: @concurrent (Request, DashboardContext) async throws -> Response
    ) async throws -> Response {
        let route = AccessPolicy.Route(request.method.rawValue, context.endpointPath)
        var response: Response
        do {
            var context = context
            context.grant = try await admit(request, context)
            response = try await next(request, context)
            response = try await AnswerCompression.compressed(response, to: request, route: route)
        } catch let error as HTTPParserError {
            // The rest of the connection cannot be parsed: the server answers 400 and closes it.
            throw error
        } catch let error as TooManyGuesses {
            context.channel.close(promise: nil)
            throw error
        } catch {
            response = try APIError(error).response(from: request, context: context)
        }
        response.headers[.contentSecurityPolicy] = Self.contentSecurityPolicy
        response.headers[.xContentTypeOptions] = "nosniff"
        for (name, value) in Self.headers { response.headers[name] = value }
        // An answer to HEAD has no body, even for an error: the client takes the next bytes for the next answer.
        if request.method == .head { return response.createHeadResponse() }
        let isShared = context.endpointPath == "/metrics"
        return budget.counted(response, on: context.channel, isShared: isShared)
    }

    /// What gives the request access; `nil` when its route needs no login.
    private func admit(_ request: Request, _ context: DashboardContext) async throws -> Login.Grant? {
        let head = Self.head(of: request, context)
        let isForMetrics = head.route == AccessPolicy.metricsRoute
        // Under any name: no other site's page knows the token.
        if isForMetrics, let grant = metricsLogin?.knows(request) {
            connections.trust(context.channel)
            return grant
        }
        if let refusal = policy.refusal(head) { throw Self.error(refusal) }
        guard let login = login ?? (isForMetrics ? metricsLogin : nil) else {
            connections.trust(context.channel)
            return .open
        }
        if AccessPolicy.publicRoutes.contains(head.route) { return nil }
        guard let grant = try await login.grant(request, from: context.peer) else {
            throw APIError(.unauthorized, "login", "log in first, or send the token as a bearer token")
        }
        connections.trust(context.channel)
        let needed = AccessPolicy.role(for: head.route)
        guard grant.role >= needed else {
            throw APIError(
                .forbidden,
                "role",
                "\(grant.account?.name ?? "this login") has the role \(grant.role.rawValue); this needs \(needed.rawValue)"
            )
        }
        return grant
    }

    private static func head(of request: Request, _ context: DashboardContext) -> AccessPolicy.Head {
        AccessPolicy.Head(
            route: AccessPolicy.Route(request.method.rawValue, context.endpointPath),
            host: request.head.authority,
            origin: request.headers[.origin],
            fetchSite: request.headers[fetchSite],
            fetchMode: request.headers[fetchMode]
        )
    }

    private static func error(_ refusal: AccessPolicy.Refusal) -> APIError {
        switch refusal {
        case .host(let host):
            APIError(
                .misdirectedRequest,
                "host",
                "\(String(host.prefix(253)).debugDescription) is no name of this dashboard: use its address, "
                    + "or allow the name with --allow-host"
            )
        case .origin: APIError(.forbidden, "origin", "only this dashboard's own page may send requests")
        }
    }

    private static let headers: [(HTTPField.Name, String)] = [
        ("Referrer-Policy", "no-referrer"), ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Cross-Origin-Resource-Policy", "same-origin"), ("X-Frame-Options", "DENY"),
    ].compactMap { name, value in HTTPField.Name(name).map { ($0, value) } }

    private static let fetchSite = HTTPField.Name("Sec-Fetch-Site") ?? .origin
    private static let fetchMode = HTTPField.Name("Sec-Fetch-Mode") ?? .origin
}

/// Bounds the total bytes of all large answers under way: each is in memory until its client has read it.
///
/// When a new answer does not fit, the oldest ones are ended with their connections. Clients that read finish quickly;
/// clients that do not must not keep others waiting. Answers that share their bytes count once: the same one, asked for by
/// many, ends no other.
private final class AnswerBudget: Sendable {
    /// Answers up to this size are not counted: each connection has one at a time, and connections are limited.
    static let smallest = 64 << 10

    private struct Answer: Sendable {
        let bytes: Int
        /// Whether all answers of this size under way are the same bytes.
        let isShared: Bool
        let channel: any Channel
    }

    private struct State {
        var answers: [UInt64: Answer] = [:]
        var bytes = 0
        var lastNumber: UInt64 = 0

        /// What an answer adds to, or takes from, the bytes: nothing while another one has the same.
        func share(_ answer: Answer) -> Int {
            let isThere = answer.isShared && answers.values.contains { $0.isShared && $0.bytes == answer.bytes }
            return isThere ? 0 : answer.bytes
        }
    }

    private let maximumBytes: Int
    private let state = Locked(State())

    /// - Parameter maximumBytes: the limit for all answers together; a larger answer is sent when it is the only one.
    init(maximumBytes: Int = 32 << 20) { self.maximumBytes = maximumBytes }

    /// How many bytes of answers are under way.
    var bytes: Int { state.withLock { $0.bytes } }

    /// The same answer, counted while it is sent.
    ///
    /// - Parameter isShared: whether answers of its size have the same bytes, as what was made once for all scrapers.
    func counted(_ response: Response, on channel: any Channel, isShared: Bool = false) -> Response {
        guard let length = response.body.contentLength, length > Self.smallest else { return response }
        // The event loop tells a writer when to wait. A faster writer would pass on the whole answer, which would then
        // be buffered in the connection, uncounted. So each part waits for one round of the event loop.
        let body = response.body.map { part in
            try await channel.eventLoop.submit {}.get()
            return part
        }
        var response = response
        response.body = ResponseBody(contentLength: length) { writer in
            let number = self.begin(Answer(bytes: length, isShared: isShared, channel: channel))
            defer { self.end(number) }
            try await body.write(writer)
        }
        return response
    }

    private func begin(_ answer: Answer) -> UInt64 {
        let (number, ended) = state.withLock { state in
            var ended: [any Channel] = []
            while state.bytes + state.share(answer) > maximumBytes, let oldest = state.answers.keys.min() {
                if let answer = Self.remove(oldest, &state) { ended.append(answer.channel) }
            }
            state.bytes += state.share(answer)
            state.lastNumber += 1
            state.answers[state.lastNumber] = answer
            return (state.lastNumber, ended)
        }
        for channel in ended { channel.close(promise: nil) }
        return number
    }

    private func end(_ number: UInt64) { state.withLock { _ = Self.remove(number, &$0) } }

    private static func remove(_ number: UInt64, _ state: inout State) -> Answer? {
        guard let answer = state.answers.removeValue(forKey: number) else { return nil }
        state.bytes -= state.share(answer)
        return answer
    }
}

/// A request's context: its connection and what gave it access.
struct DashboardContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    /// The connection; it is closed when the browser is too slow.
    let channel: any Channel
    /// What gave the request access; `nil` when its route needs no login.
    var grant: Login.Grant?

    init(source: ApplicationRequestContextSource) {
        coreContext = CoreRequestContextStorage(source: source)
        channel = source.channel
    }

    /// The client's address.
    var peer: PeerAddress { PeerAddress(channel.remoteAddress) }

    /// Who asks, for shares: a session, or else all clients of an address.
    var reader: String {
        if case .session(let id, _) = grant { "\(id)" } else { "\(peer)" }
    }
}
