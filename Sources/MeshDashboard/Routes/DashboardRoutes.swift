import HTTPTypes
import Hummingbird
import HummingbirdCore
import MeshEvents
import MeshMonitoring
import NIOCore

/// The routes of the dashboard and their answers; `API/openapi.json` describes them.
struct DashboardRoutes: Sendable {
    let store: any EventStore
    let history: EventHistory
    /// How many readings of the stream run at once. Each holds a page of events; of one reader there are a page's list and
    /// its histogram.
    let gate = QueryGate(maximumRunning: 3, maximumWaiting: 128, share: .init(running: 2, waiting: 64))
    let feed: EventFeed
    let mesh: MeshFollower
    /// `nil` when the state of the mesh is saved nowhere.
    let keeper: KeeperWatch?
    /// `nil` when the state of the alerts is saved nowhere.
    let alerts: AlertWatch?
    let health: DashboardHealth
    let metrics: MeshMetricsSource
    /// `nil` when nothing can be emitted.
    let emitter: PersistentEventBus?
    /// Reads logs; `nil` when there are none.
    let logs: (any LogSource)?
    /// How many logs are read at once. A node has up to 16 readers, and others than this page need some.
    let logGate = QueryGate(maximumRunning: 12, maximumWaiting: 64, share: .init(running: 2, waiting: 8))
    /// `nil` when tools cannot be controlled.
    let control: (any ToolController)?
    /// How many requests about tools are under way.
    let controlGate = QueryGate(maximumRunning: 16, maximumWaiting: 32, share: .init(running: 4, waiting: 8))
    /// How many exports are under way; each holds a page of events.
    let exportGate = QueryGate(maximumRunning: 4, maximumWaiting: 8, share: .init(running: 1, waiting: 2))
    /// `nil` when no login is needed.
    let login: Login?
    /// The cookie of sessions.
    let cookie: SessionCookie
    /// The login for the metrics alone; `nil` when they have none of their own.
    let metricsLogin: Login?
    let page: PageFiles
    /// Whether events are marked by their signatures.
    let marks: Bool
    let connections: ConnectionTable
    /// How many missed events are read for a browser that comes back.
    let backlog: Int

    /// Makes the router. A new route needs a login unless it is in ``AccessPolicy/publicRoutes``.
    ///
    /// - Parameter names: the host names that requests may use.
    func router(names: [String]) -> Router<DashboardContext> {
        let policy = AccessPolicy(names: Set(names.map { $0.lowercased() }), isSecure: cookie.isSecure)
        let router = Router(context: DashboardContext.self, options: .autoGenerateHeadEndpoints)
        router.add(
            middleware: AccessMiddleware(
                server: .page,
                policy: policy,
                login: login,
                metricsLogin: metricsLogin,
                connections: connections
            )
        )
        router.get("/") { request, _ in try page.response("index.html", to: request) }
        router.get("/{file}") { request, context in
            try page.response(context.parameters.get("file") ?? "", to: request)
        }
        router.get("/healthz") { _, _ in healthResponse() }
        router.get("/metrics") { request, _ in try await metrics.response(to: request) }
        router.get("/api/openapi.json") { request, _ in PageFiles.response(PageFiles.description, to: request) }
        router.get("/api/session") { request, context in try await session(request, context) }
        router.post("/api/session") { request, context in try await logIn(request, context) }
        router.delete("/api/session") { request, _ in logOut(request) }
        router.get("/api/mesh") { _, _ in
            if let failure = mesh.failure {
                throw APIError(.serviceUnavailable, failure.code.description, failure.message)
            }
            await keeper?.refresh()
            await alerts?.refresh()
            return Response.json(try await mesh.digest().json(with: keeper?.report, alerts: alerts?.json).utf8)
        }
        router.get("/api/events") { request, context in try await events(QueryParameters(request), context) }
        router.get("/api/export") { request, context in try await export(QueryParameters(request), context) }
        router.get("/api/events/{sequence}") { _, context in try await event(context) }
        router.post("/api/events") { request, _ in try await emit(request) }
        router.post("/api/tools") { request, context in try await controlTool(request, context) }
        router.get("/api/histogram") { request, context in try await histogram(QueryParameters(request), context) }
        router.get("/api/logs") { request, context in try await log(QueryParameters(request), context) }
        router.get("/api/stream") { request, context in try stream(request, context) }
        return router
    }

    private func healthResponse() -> Response {
        guard let problem = health.problem else {
            var members: [(String, JSONValue)] = [("status", "ok")]
            if let note = health.note { members.append(("note", .string(note))) }
            return .json(JSONValue.object(JSONObject(members)).description.utf8)
        }
        let json: EventData = ["status": "unavailable", "problem": .string(problem)]
        return .json(json.json.utf8, status: .serviceUnavailable)
    }

    // MARK: Events

    private func events(_ parameters: QueryParameters, _ context: DashboardContext) async throws -> Response {
        var bounds = try parameters.bounds()
        bounds.limit = try parameters.number("limit", in: 1...EventSearch.maximumLimit) ?? bounds.limit
        let search = EventSearch(store: store, history: history, gate: gate, reader: context.reader)
        return .json(try await search.page(try parameters.filter(), bounds).json)
    }

    private func export(_ parameters: QueryParameters, _ context: DashboardContext) async throws -> Response {
        let reader = context.reader
        // Before the head, which cannot be taken back; the body waits for its turn.
        guard exportGate.mayEnter(reader) else { throw QueryGate.tooMany }
        var export = EventExport(format: try parameters.exportFormat(), marks: marks)
        export.limit = try parameters.number("limit", in: 1...EventExport.Bounds.standard.events)
        export.filter = try parameters.filter()
        export.range = try parameters.bounds()
        // Mistakes and a mesh that does not answer have an answer of their own, too: the first page is read here.
        let pages = try await export.pages(of: store, history, gate, for: reader)
        let (asked, turns, channel) = (export, exportGate, context.channel)
        let isAllowed = stillAllowed(context.grant)
        return Response(
            status: .ok,
            headers: export.headers(at: .now),
            body: ResponseBody { writer in
                try await turns.enter(reader)
                defer { turns.leave(reader) }
                try await asked.write(pages, to: &writer) {
                    guard isAllowed() else { throw APIError(.unauthorized, "login", "the session has ended") }
                    // The event loop tells a writer when to wait.
                    try await channel.eventLoop.submit {}.get()
                }
                try await writer.finish(nil)
            }
        )
    }

    private func event(_ context: DashboardContext) async throws -> Response {
        guard let text = context.parameters.get("sequence"), let place = StreamPosition(text), place.sequence > 0,
            place.sequence < .max
        else { throw APIError.notFound }
        let sequence = place.sequence
        var query = EventHistory.Query(limit: 1, before: sequence + 1, after: sequence - 1, timeout: .seconds(15))
        query.created = place.created
        let asked = query
        let page = try await gate.run(for: context.reader) { () async throws(MeshEventsError) in
            try await history.page(asked)
        }
        guard let stored = page.events.first else {
            throw APIError(.notFound, "notFound", "the stream has no event \(sequence), or has dropped it")
        }
        return .json(try EventJSONFormatter.whole(stored))
    }

    private func histogram(_ parameters: QueryParameters, _ context: DashboardContext) async throws -> Response {
        let until = try parameters.time("until") ?? .now
        let since = try parameters.time("since") ?? until.subtracting(.seconds(3_600))
        guard since < until else {
            throw APIError(.badRequest, "invalidArgument", "since has to be earlier than until")
        }
        let buckets = try parameters.number("buckets", in: 1...500) ?? 60
        // In whole milliseconds; the end is excluded.
        let range =
            since.nanosecondsSinceEpoch
            / 1_000_000..<max(
                until.nanosecondsSinceEpoch / 1_000_000,
                since.nanosecondsSinceEpoch / 1_000_000 + 1
            )
        let filter = try parameters.filter()
        let histogram = try await gate.run(for: context.reader) { () async throws(MeshEventsError) in
            try await feed.histogram(filter, range, buckets: buckets)
        }
        return .json(histogram.json.json.utf8)
    }

    private func emit(_ request: Request) async throws -> Response {
        guard let emitter else {
            throw APIError(.forbidden, "emitOff", "emitting over HTTP is off; --allow-emit turns it on")
        }
        let body = try await EmitBody(request)
        let position = try await emitter.emit(Event(body.type, data: body.data))
        let json: EventData = ["sequence": JSONValue(position.sequence), "stream": .string(position.stream)]
        return .json(json.json.utf8, status: .created)
    }

    private func log(_ parameters: QueryParameters, _ context: DashboardContext) async throws -> Response {
        guard let logs else {
            throw APIError(.forbidden, "logsOff", "this page's connection to the mesh may not read logs")
        }
        let query = try parameters.log()
        let answer = try await logGate.run(for: context.reader) { () async throws(MeshEventsError) in
            try await logs.page(query)
        }
        return .json(answer.json.json.utf8)
    }

    private func controlTool(_ request: Request, _ context: DashboardContext) async throws -> Response {
        guard let control, let grant = context.grant else {
            throw APIError(.forbidden, "controlOff", "controlling tools over HTTP is off; --allow-control turns it on")
        }
        let body = try ControlBody(try await request.jsonBody(upTo: ControlBody.maximumSize))
        let by = grant.name(from: context.peer)
        do throws(MeshEventsError) {
            let state = try await controlGate.run(for: context.reader) { () async throws(MeshEventsError) in
                try await control.control(body.action, tool: body.tool, node: body.node, by: by)
            }
            let json: EventData = ["node": .string(body.node), "state": .string(state), "tool": .string(body.tool)]
            return .json(json.json.utf8)
        } catch {
            guard error.code == .serverRefused else { throw error }
            throw APIError(.conflict, error.code.description, error.message)
        }
    }

    // MARK: The stream

    private func stream(_ request: Request, _ context: DashboardContext) throws -> Response {
        let parameters = QueryParameters(request)
        let filter = try parameters.filter()
        // A browser that reconnects by itself sends its last event id in a header; that is newer than the parameter.
        let last = request.headers[Self.lastEventID].flatMap { StreamPosition($0) }
        let after = try last ?? parameters.position("after")
        guard feed.hasRoom else {
            throw APIError(.serviceUnavailable, "tooManyClients", "too many browsers are connected; close one first")
        }
        let isAllowed = stillAllowed(context.grant)
        let hello = hello(context.grant)
        let body = ResponseBody { writer in
            // Joins only here: a body that is never written must not occupy a place.
            guard let (id, client, start) = feed.join() else { return try await writer.finish(nil) }
            defer { feed.leave(id) }
            client.whenCut { context.channel.close(promise: nil) }
            try await writer.write(ServerSentEvent.retry(milliseconds: 2_000))
            try await writer.write(ServerSentEvent.buffer("hello", hello.json.utf8))
            try await writer.write(health.notice)
            let told = mesh.toldUntil
            if mesh.failure == nil {
                try await writer.write(ServerSentEvent.buffer("mesh", try await mesh.digest().json.utf8))
            }
            if let keeper { try await writer.write(keeper.notice) }
            if let alerts { try await writer.write(alerts.notice) }
            var session = StreamSession(
                client: client,
                store: store,
                history: history,
                gate: gate,
                reader: context.reader,
                filter: filter,
                after: after,
                told: told,
                maximumBacklog: backlog,
                isAllowed: isAllowed
            )
            try await CloseNotice.add(to: context.channel) { client.end() }
            try await session.run(from: start, into: &writer)
            try await writer.finish(nil)
        }
        return Response(
            status: .ok,
            headers: [
                .contentType: "text/event-stream; charset=utf-8", .cacheControl: "no-store",
                Self.accelBuffering: "no",
            ],
            body: body
        )
    }

    /// A closure that tells whether a client's grant is still valid.
    private func stillAllowed(_ grant: Login.Grant?) -> @Sendable () -> Bool {
        guard let login else { return { true } }
        guard let grant else { return { false } }
        return { login.holds(grant) }
    }

    private func hello(_ grant: Login.Grant?) -> EventData {
        let can = abilities(grant)
        return [
            "time": .string(Timestamp.now.description), "emit": .bool(can.emit), "login": .bool(login != nil),
            "logs": .bool(can.logs), "control": .bool(can.control),
        ]
    }

    /// What a client may do beside looking.
    private struct Abilities {
        let control, emit, logs: Bool
    }

    /// What a client with this grant may do; nothing without one.
    private func abilities(_ grant: Login.Grant?) -> Abilities {
        func may(_ method: String, _ template: String) -> Bool {
            grant.map { $0.role >= AccessPolicy.role(for: .init(method, template)) } ?? false
        }
        return Abilities(
            control: control != nil && may("POST", "/api/tools"),
            emit: emitter != nil && may("POST", "/api/events"),
            logs: logs?.isAllowed ?? false && may("GET", "/api/logs")
        )
    }

    private static let lastEventID = HTTPField.Name("Last-Event-ID") ?? .eTag
    /// Tells an nginx in front not to buffer events.
    private static let accelBuffering = HTTPField.Name("X-Accel-Buffering") ?? .eTag
}

extension DashboardRoutes {
    /// Answers whether a login is required, whether the client is logged in, as whom, and what it may do.
    ///
    /// - Throws: `APIError` for a wrong token, which is counted as on every route.
    func session(_ request: Request, _ context: DashboardContext) async throws -> Response {
        guard let login else { return session(.open) }
        return session(try await login.grant(request, from: context.peer))
    }

    /// Gives a client that knows a token a session.
    func logIn(_ request: Request, _ context: DashboardContext) async throws -> Response {
        guard let login else { return session(.open) }
        let body = try await request.jsonBody(upTo: 4_096)
        let account = try await login.check(body["token"]?.string ?? "", from: context.peer)
        guard let halves = login.begin(account) else { throw APIError(.unauthorized, "login", "the token is wrong") }
        var response = session(.token(account), key: halves.key)
        response.setCookie(cookie.make(halves.cookie, for: request))
        return response
    }

    /// Ends the session on the server and in the browser, and the event streams that were opened with it.
    private func logOut(_ request: Request) -> Response {
        if let login, let (id, _) = login.session(of: request) {
            login.sessions.end(id)
            checkStreams()
        }
        var response = session(login == nil ? .open : nil)
        response.setCookie(cookie.make("", for: request))
        return response
    }

    /// Replaces the users, and ends the sessions and streams of those who are gone.
    func replace(users: [DashboardUser]) {
        login?.replace(users: users)
        checkStreams()
    }

    /// Wakes each stream, so that it checks whether it may go on.
    private func checkStreams() { feed.say(.tick(.now, mesh: mesh.toldUntil)) }

    /// The answer about a session.
    ///
    /// - Parameters:
    ///   - grant: what gives the client access; `nil` for nothing.
    ///   - key: the key of a session that has just begun, for the page.
    private func session(_ grant: Login.Grant?, key: String? = nil) -> Response {
        let can = abilities(grant)
        var members: [(String, JSONValue)] = [
            ("login", .bool(login != nil)), ("logged_in", .bool(grant != nil)), ("emit", .bool(can.emit)),
            ("control", .bool(can.control)), ("user", grant?.account?.name.map { .string($0) } ?? .null),
            ("role", grant.map { .string($0.role.rawValue) } ?? .null),
            (
                "can",
                [
                    "control": .bool(can.control), "emit": .bool(can.emit), "export": .bool(grant != nil),
                    "logs": .bool(can.logs),
                ]
            ),
        ]
        if let key { members.append(("session", .string(key))) }
        return .json(JSONValue.object(JSONObject(members)).description.utf8)
    }
}

/// The body of `POST /api/events`: the event to emit.
private struct EmitBody {
    private static let maximumSize = 1 << 20

    let type: EventType
    let data: EventData

    /// Reads the body.
    ///
    /// - Throws: `APIError`, `invalidEventType`, `invalidData`.
    init(_ request: Request) async throws {
        let body = try await request.jsonBody(upTo: Self.maximumSize)
        if let unknown = body.keys.first(where: { $0 != "type" && $0 != "data" }) {
            throw APIError(
                .badRequest,
                "invalidData",
                "an event to emit has type and data, not \(unknown.debugDescription)"
            )
        }
        guard let type = body["type"]?.string else {
            throw APIError(.badRequest, "invalidEventType", "the type is missing, for example user.training.complete")
        }
        self.type = try EventType(type)
        data = try body["data"].map { try EventData(json: $0.value.description) } ?? nil
        try data.checkNumbers()
    }
}

extension Request {
    /// The body, a JSON object.
    ///
    /// - Throws: `APIError` when it is not JSON by its media type, or too long; `invalidData`.
    fileprivate func jsonBody(upTo limit: Int) async throws -> EventData {
        // A form of another site can send text, but not this media type.
        let mediaType = headers[.contentType]?.prefix { $0 != ";" }.lowercased()
        guard mediaType?.trimmingPrefix(while: { $0 == " " }).prefix(while: { $0 != " " }) == "application/json" else {
            throw APIError(.unsupportedMediaType, "mediaType", "send application/json")
        }
        let bytes: ByteBuffer
        do {
            bytes = try await body.collect(upTo: limit)
        } catch is NIOTooManyBytesError {
            throw APIError(.contentTooLarge, "payloadTooLarge", "send at most \(limit) bytes")
        }
        return try EventData(json: bytes.readableBytesView)
    }
}

/// Calls a closure when the client has closed a connection, or its half of it.
private final class CloseNotice: ChannelInboundHandler {
    typealias InboundIn = NIOAny

    private let action: @Sendable () -> Void

    private init(_ action: @escaping @Sendable () -> Void) { self.action = action }

    /// Watches a connection; calls the closure at once when it is closed already.
    static func add(to channel: any Channel, _ action: @escaping @Sendable () -> Void) async throws {
        try await channel.eventLoop.submit {
            try channel.pipeline.syncOperations.addHandler(CloseNotice(action), position: .first)
        }.get()
        if !channel.isActive { action() }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? ChannelEvent, event == .inputClosed { action() }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        action()
        context.fireChannelInactive()
    }
}
