import Logging
import MeshLogging
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization

/// The engine of one connection: everything here runs on its event loop, unless its comment says otherwise.
///
/// It is `@unchecked Sendable` because mutable members are used on `eventLoop` only (checked in debug builds). What
/// other threads need has its own lock (`outbound`, `requests`, `status`).
final class ConnectionLoop: @unchecked Sendable {
    let configuration: NATSConnection.Configuration
    let eventLoop: any EventLoop
    let outbound: OutboundBuffer
    let requests = RequestTable()
    let sharedReplies = SharedReplyTable()
    let status = StatusBroadcaster()
    /// What all inboxes of this user begin with.
    let inboxRoot: String
    let counts = ConnectionCounts()
    /// What the answers to this connection's requests begin with.
    let inboxPrefix: String
    let replyCode = ReplyCode()
    let logger: Logger

    var machine: ConnectionStateMachine
    var channel: (any Channel)?
    /// Made from the files as they were at the present attempt.
    var tlsContext: NIOSSLContext?
    var info: ServerInfo?
    /// The certificate of a server with which TLS has failed in the present attempt.
    var peerCertificate: NIOSSLCertificate?
    var subscriptions = SubscriptionTable()
    let nextSubscriptionID = Atomic<UInt64>(0)
    /// The entries that have had messages in this read.
    var touched: [SubscriptionEntry] = []
    var parser = ProtocolParser()
    var readBuffer = ByteBuffer()
    var isParsing = false
    var pongs = OwedPongs()
    /// Whether this was reported: once for each connection, however often the server says it.
    var isLameDuckReported = false
    /// Why the last attempt failed.
    private var lastFailure: String?
    /// Callers that wait for a `PING` to be written and answered.
    var pingWaiters: [PingWaiter] = []
    /// The subscriptions that the next `PING` follows.
    var subscribing: [SubscriptionEntry] = []
    /// The refusals since the last answered `PING` that name no subscription, in this order.
    var refusals: [NATSError] = []
    /// The pings on their way, oldest first.
    var pings: [Ping] = []
    var isWriting = false
    /// Whether bytes are being handed to the channel at this moment.
    var isHandingOver = false
    /// What was taken from `outbound` and has not been handed to the channel yet.
    var unwritten: OutboundBuffer.Chunk?
    /// How often something was taken from `outbound` on this connection.
    var chunksTaken = 0
    var lastWritten: UInt64 = 0
    var lastConfirmed: UInt64 = 0
    /// Messages that were on their way when a connection was lost, since the last flush that reported it.
    var unconfirmed = 0
    var isConfirmScheduled = false
    var keepAlive: RepeatedTask?
    var isSilent = false
    var silentIntervals = 0
    var attemptTimeout: Scheduled<Void>?
    /// When the connection became ready.
    var connectedSince = NIODeadline.now()
    /// Whether a sweep of the requests is scheduled; written from any thread.
    let requestSweep = Atomic<Bool>(false)
    /// What the sweeps of the requests have seen of the connection.
    var requestProbes = RequestProbes()
    /// Completed when the first connection is up, or when there will be none.
    var started: EventLoopPromise<ServerInfo>?
    let inbox: SubscriptionEntry

    struct PingWaiter {
        /// The `PING` follows what was taken from `outbound` then; see `chunksTaken`.
        var chunk: Int
        let answer: (Result<Void, NATSError>) -> Void
    }

    struct Ping {
        let confirms: UInt64
        let waiters: [PingWaiter]
        /// What was subscribed to since the ping before, in this order.
        var subscribes: [SubscriptionEntry] = []
    }

    init(
        configuration: NATSConnection.Configuration,
        tlsContext: NIOSSLContext?,
        eventLoop: any EventLoop,
        logger: Logger
    ) {
        self.configuration = configuration
        self.tlsContext = tlsContext
        self.eventLoop = eventLoop
        self.logger = logger
        inboxRoot = configuration.inboxPrefix ?? configuration.authentication.inboxPrefix
        inboxPrefix = "\(inboxRoot).\(UniqueToken.make())"
        let flusher = Flusher()
        outbound = OutboundBuffer(highWaterMark: configuration.maximumPendingBytes) { flusher.schedule() }
        machine = ConnectionStateMachine(
            servers: configuration.servers,
            delay: configuration.reconnectDelay,
            retriesInitially: configuration.retriesInitialConnect,
            maximumPasses: configuration.maximumReconnectPasses,
            tlsFirst: configuration.tls?.handshakeFirst ?? false,
            tlsRequired: configuration.tls != nil
        )
        inbox = SubscriptionEntry(
            sid: 0,
            subject: "\(inboxPrefix).*",
            queueGroup: nil,
            receiver: RequestInbox(
                prefix: inboxPrefix,
                code: replyCode,
                requests: requests,
                sharedReplies: sharedReplies
            )
        )
        flusher.loop = self
    }

    /// Carries out what the state machine decided.
    func perform(_ actions: [ConnectionStateMachine.Action]) {
        eventLoop.assertInEventLoop()
        for action in actions {
            switch action {
            case .connect(let server, let attempt): openChannel(to: server, attempt: attempt)
            case .wait(let duration): wait(duration)
            case .startTLS: startTLS()
            case .login: login()
            case .ready(let isReconnect): becomeReady(isReconnect: isReconnect)
            case .closeChannel: closeChannel()
            case .attemptFailed(let server): attemptFailed(server)
            case .lost: connectionLost()
            case .end: end()
            }
        }
    }

    func fail(_ error: NATSError) {
        perform(machine.failed(error, uptime: Duration(NIODeadline.now() - connectedSince)))
    }

    private func wait(_ duration: Duration) {
        eventLoop.scheduleTask(in: TimeAmount(duration)) { self.perform(self.machine.waitElapsed()) }
    }

    /// A new reason that waiting does not remove, such as a file that cannot be read, is logged as a warning, once.
    private func attemptFailed(_ server: ServerAddress) {
        guard let error = machine.lastError else { return }
        let needsAction = error.code == .tlsFailed || error.code == .authenticationFailed
        if needsAction, lastFailure != error.message {
            logger.warning("connecting failed", [.server: "\(server)", .error: "\(error)"])
        } else {
            logger.debug("connecting failed", [.server: "\(server)", .error: "\(error)"])
        }
        lastFailure = error.message
        status.send(.reconnectFailed(server, error))
    }

    /// Starts using the first connection, or a new one: restores subscriptions, then sends what waits.
    private func becomeReady(isReconnect: Bool) {
        attemptTimeout?.cancel()
        lastFailure = nil
        guard let info, let server = machine.server else { return }
        restoreSubscriptions()
        outbound.connected(info)
        startKeepAlive()
        connectedSince = .now()
        flush()
        logger.debug("connected", [.server: "\(server)", .version: "\(info.version)"])
        if isReconnect {
            counts.countReconnect()
            status.send(.reconnected(server))
        } else {
            status.send(.connected(server))
            started?.succeed(info)
            started = nil
        }
    }

    /// Handles the loss of an established connection: counts the messages on their way, and keeps those that wait.
    private func connectionLost() {
        let error = machine.lastError ?? NATSError(.connectionFailed, "the connection was lost", isRetriable: true)
        let underWay = Int(lastWritten - lastConfirmed)
        unconfirmed += underWay
        counts.countUnconfirmed(underWay)
        lastConfirmed = lastWritten
        logger.warning(
            "connection lost, reconnecting",
            [.error: "\(error.message)", .unconfirmed: "\(underWay)"]
        )
        requests.connectionLost(lastWritten: lastWritten, error: error)
        sharedReplies.connectionLost(error: error)
        status.send(.disconnected(reason: error, unconfirmed: underWay))
    }

    /// No attempt follows: every waiting caller gets the error.
    private func end() {
        let error = machine.lastError
        attemptTimeout?.cancel()
        let reason = error ?? .closed
        outbound.close(reason)
        requests.block(reason)
        sharedReplies.block(reason)
        let waiters = pingWaiters
        pingWaiters = []
        for waiter in waiters { waiter.answer(.failure(reason)) }
        for entry in subscriptions.removeAll() { entry.receiver.receiveEnd(error) }
        started?.fail(reason)
        started = nil
        status.send(.closed(error))
    }
}

/// Schedules flushes. It holds the loop weakly, because the loop owns the buffer that owns this.
private final class Flusher: @unchecked Sendable {
    // Written once, before any thread uses the outbound buffer.
    weak var loop: ConnectionLoop?

    func schedule() {
        guard let loop else { return }
        if loop.eventLoop.inEventLoop {
            loop.eventLoop.assumeIsolated().execute { loop.flush() }
        } else {
            loop.eventLoop.execute { loop.flush() }
        }
    }
}
