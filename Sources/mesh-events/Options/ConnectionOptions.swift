import ArgumentParser
import Foundation
import Logging
import MeshEvents
import MeshEventsNATS
import NATSClient

/// The options for the server and the login, shared by all commands.
struct ConnectionOptions: ParsableArguments {
    @Option(
        name: .customLong("nats"),
        help: ArgumentHelp(
            "The server, or several of a cluster. Default: $JB_NATS_URL, else the context's, else nats://127.0.0.1:4222.",
            valueName: "url[,url]"
        )
    )
    var servers: String?

    @Option(
        help: ArgumentHelp(
            "Connect as this context of the `nats` tool says, by its name or its .json file; other options and variables "
                + "win. Default: $NATS_CONTEXT, else the selected one when no server is named; see `mesh-events context`.",
            valueName: "name"
        )
    )
    var context: String?

    @Flag(
        name: .customLong("no-randomize"),
        help: "Try the servers in the order in which they are given, instead of a random one."
    )
    var keepsServerOrder = false

    @Flag(
        name: .customLong("ignore-announced-servers"),
        help: "Try only the servers that are given, not those that their cluster announces."
    )
    var ignoresAnnouncedServers = false

    @Option(
        help: ArgumentHelp(
            "Log in with a credentials file (JWT and seed) that only its owner may read. Default: $JB_NATS_CREDS.",
            valueName: "file"
        )
    )
    var creds: String?

    @Option(
        help: ArgumentHelp(
            "Log in with the NKey seed in this file, which only its owner may read. Default: $MESH_EVENTS_NKEY.",
            valueName: "file"
        )
    )
    var nkey: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Log in with a token. Other users of this machine can see it in the process list; $MESH_EVENTS_TOKEN is "
                + "safer.",
            valueName: "token"
        )
    )
    var token: String?

    @Option(parsing: .unconditional, help: ArgumentHelp("Log in as this user.", valueName: "name"))
    var user: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "The user's password. As with --token; $MESH_EVENTS_PASSWORD is safer.",
            valueName: "password"
        )
    )
    var password: String?

    @Option(
        name: .customLong("tls-ca"),
        help: ArgumentHelp(
            "Trust the authorities in this PEM file instead of the system's. Default: $MESH_EVENTS_TLS_CA.",
            valueName: "file"
        )
    )
    var certificateAuthority: String?

    @Option(
        name: .customLong("tls-cert"),
        help: ArgumentHelp(
            "This client's certificate, PEM; with --tls-key. Default: $MESH_EVENTS_TLS_CERT.",
            valueName: "file"
        )
    )
    var certificate: String?

    @Option(
        name: .customLong("tls-key"),
        help: ArgumentHelp(
            "The key of this client's certificate, PEM. Default: $MESH_EVENTS_TLS_KEY.",
            valueName: "file"
        )
    )
    var certificateKey: String?

    @Option(
        name: .customLong("ws-headers"),
        help: ArgumentHelp(
            "Header fields for a ws:// or wss:// server, one per line (Authorization: Bearer …), in a file that only "
                + "its owner may read. Default: $MESH_EVENTS_WS_HEADERS.",
            valueName: "file"
        )
    )
    var webSocketHeaders: String?

    @Option(
        help: ArgumentHelp(
            "The stream that keeps the events. Default: $MESH_EVENTS_STREAM, else MESH_EVENTS.",
            valueName: "name"
        )
    )
    var stream: String?

    @Option(
        name: .customLong("js-domain"),
        help: ArgumentHelp(
            "The JetStream domain of the stream's servers, for a leaf node. Default: $MESH_EVENTS_JS_DOMAIN.",
            valueName: "name"
        )
    )
    var jetStreamDomain: String?

    @Option(
        name: .customLong("js-prefix"),
        help: ArgumentHelp(
            "The prefix of the subjects of JetStream's API, instead of a domain. Default: $MESH_EVENTS_JS_PREFIX, else "
                + "$JS.API.",
            valueName: "subject"
        )
    )
    var jetStreamPrefix: String?

    @Option(
        name: .customLong("inbox-prefix"),
        help: ArgumentHelp(
            "The prefix of reply subjects. Default: $MESH_EVENTS_INBOX_PREFIX, else _INBOX.",
            valueName: "subject"
        )
    )
    var inboxPrefix: String?

    /// The variable that with the value `none` keeps commands from creating an archive.
    static let archiveVariable = "MESH_EVENTS_ARCHIVE"

    static let defaultURL = "nats://127.0.0.1:4222"

    /// The servers that the option or the environment names; `nil` when neither does.
    func namedServers(_ environment: [String: String]) -> String? {
        servers ?? environment["JB_NATS_URL"].flatMap { $0.isEmpty ? nil : $0 }
    }

    /// Whether an option for the login is given.
    var namesLogin: Bool { creds != nil || nkey != nil || token != nil || user != nil }

    /// Whether options, environment, the context or the servers' addresses give a login; a certificate or header fields count
    /// too. `false` when they are wrong: connecting reports that.
    ///
    /// - Parameter servers: the servers; `nil` for those that options, environment and context name.
    func logsIn(_ environment: [String: String], at servers: String? = nil) -> Bool {
        guard let configuration = try? configuration(servers: servers, environment, name: "") else { return false }
        guard case .none = configuration.authentication else { return true }
        return configuration.servers.contains(where: \.hasLogin) || configuration.tls?.certificateFile != nil
            || !configuration.webSocketHeaders.isEmpty
    }

    /// The user and password, or the token, that options, environment and a named context give; `nil` for none, and when
    /// they give another login. The login of a server's address does not count.
    func passwordOrToken(_ environment: [String: String]) -> [String]? {
        switch try? nodeAuthentication(environment) {
        case .userPassword(let user, let password): [user, password]
        case .token(let token): [token]
        default: nil
        }
    }

    /// The options of the login and of TLS.
    private var login: LoginOptions {
        LoginOptions(
            credentials: creds,
            key: nkey,
            token: token,
            user: user,
            password: password,
            certificateAuthority: certificateAuthority,
            certificate: certificate,
            certificateKey: certificateKey
        )
    }

    /// Connects.
    ///
    /// - Parameters:
    ///   - url: the server to use instead of those of the option, the environment and the selected context.
    ///   - name: the connection's name, which the server shows.
    func connect(to url: String? = nil, name: String) async throws -> NATSTransport {
        let environment = ProcessInfo.processInfo.environment
        let configuration = try configuration(servers: url, environment, name: name)
        do throws(MeshEventsError) {
            return try await NATSTransport.connect(configuration, logger: .disabled)
        } catch {
            let failure = CommandFailure(describing: error)
            if let context = try chosenContext(environment, servers: url) {
                throw failure.suffixed(context.reminder)
            }
            let isNamed = url != nil || namedServers(environment) != nil
            guard error.code == .connectionFailed, !isNamed, error.underlyingCode != .tlsFailed else {
                throw failure
            }
            throw CommandFailure(
                failure.code,
                failure.message + (failure.message.hasSuffix("?") ? " Start" : "; start")
                    + " a server with `mesh-events serve`, or name one with --nats, --context or JB_NATS_URL"
            )
        }
    }

    /// The connection's configuration from the options, the environment and the context, in this order.
    ///
    /// - Parameter servers: the servers to use; `nil` for those that are named. The selected context counts only when none
    ///   are.
    func configuration(
        servers: String?,
        _ environment: [String: String],
        name: String
    ) throws -> NATSConnection.Configuration {
        let chosen = try chosenContext(environment, servers: servers)
        let environment = chosen?.environment ?? environment
        let named = servers ?? namedServers(environment)
        do throws(NATSError) {
            var configuration = chosen?.configuration ?? NATSConnection.Configuration(servers: [])
            if chosen == nil || named != nil {
                configuration.servers = try ServerAddress.list(named ?? Self.defaultURL)
            }
            // The login of an address that was named is nearer than the context's.
            let isNearer = named != nil && configuration.servers.contains(where: \.hasLogin)
            configuration.authentication = try authentication(environment, isNearer ? nil : chosen)
            configuration.tls = try login.tls(environment, over: chosen?.configuration.tls)
            configuration.name = name
            configuration.randomizesServers = !keepsServerOrder
            configuration.ignoresAnnouncedServers = ignoresAnnouncedServers
            let headers = webSocketHeaders
            configuration.webSocketHeaders = try WebSocketHeaderFile.fields(headers, in: environment)
            if !configuration.webSocketHeaders.isEmpty {
                // Read again at every attempt to connect: a token in it may expire.
                configuration.webSocketHeaderProvider = { try WebSocketHeaderFile.fields(headers, in: environment) }
            }
            return try place(environment).applied(to: configuration)
        } catch {
            throw CommandFailure(.usage, error.message)
        }
    }

    private func nodeAuthentication(_ environment: [String: String]) throws -> NATSAuthentication {
        let named = try namedContext(environment)
        return try authentication(named?.environment ?? environment, named)
    }

    /// The login of options and environment, else that of the context.
    private func authentication(
        _ environment: [String: String],
        _ context: UsedContext?
    ) throws(NATSError) -> NATSAuthentication {
        let authentication = try login.authentication(environment)
        guard case .none = authentication, let context else { return authentication }
        return context.configuration.authentication
    }

    /// The stream's name and prefixes from the options and the environment.
    func place(
        _ environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws(NATSError) -> StreamPlace {
        try StreamPlace(
            stream: stream,
            domain: jetStreamDomain,
            prefix: jetStreamPrefix,
            inbox: inboxPrefix,
            environment
        )
    }

    /// The configuration of the stream, with the mesh's settings.
    ///
    /// - Parameters:
    ///   - acknowledgementDeadline: how long emitting may take; `nil` for the default.
    ///   - archive: when to create the archive; `nil` for never, and so it is when the environment says so.
    func persistence(
        acknowledgementDeadline: Duration? = nil,
        archive: ArchiveConfiguration.Creation? = .withStream
    ) throws -> PersistentEventBus.Configuration {
        var configuration = PersistentEventBus.Configuration(streamName: try place().streamName)
        let isUnwanted = ProcessInfo.processInfo.environment[Self.archiveVariable] == "none"
        configuration.archive = isUnwanted ? nil : archive.map { ArchiveConfiguration(creation: $0) }
        if let acknowledgementDeadline { configuration.acknowledgementDeadline = acknowledgementDeadline }
        return configuration
    }

    /// The store of the stream.
    func store(_ transport: NATSTransport) throws -> JetStreamStore {
        JetStreamStore(transport.connection, streamName: try place().streamName)
    }
}

extension MeshEventsError {
    fileprivate var underlyingCode: NATSError.Code? { (underlying as? NATSError)?.code }
}

extension Logger {
    /// A logger that discards everything: the commands report what matters themselves.
    static let disabled = Logger(label: "mesh-events") { _ in SwiftLogNoOpLogHandler() }
}

extension EventBus {
    /// A bus that only subscribes: it has no node's name and logs nothing.
    ///
    /// - Parameters:
    ///   - transport: the transport to subscribe on.
    ///   - verification: checks signatures; `nil` checks none.
    ///   - onMalformed: is called with messages that are not events.
    static func listening(
        on transport: some EventTransport,
        verification: SignatureVerification?,
        onMalformed: (@Sendable (MalformedEvent) -> Void)? = nil
    ) -> EventBus {
        EventBus(
            transport: transport,
            node: "",
            configuration: Configuration(onMalformed: onMalformed, verification: verification),
            logger: .disabled
        )
    }
}
