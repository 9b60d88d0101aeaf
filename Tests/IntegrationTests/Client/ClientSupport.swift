import LocalNATSServer
import Logging
import NATSClient
import NIOCore
import TestSupport

/// A configuration for one server, quick to reconnect so that tests need not wait.
func configuration(_ server: LocalNATSServer) throws -> NATSConnection.Configuration {
    try configuration(at: server.url)
}

/// The same for the server, or the proxy before it, at an address.
func configuration(at address: String) throws -> NATSConnection.Configuration {
    var configuration = NATSConnection.Configuration(servers: try ServerAddress.list(address))
    configuration.reconnectDelay = ReconnectDelay(initial: .milliseconds(10), maximum: .milliseconds(200))
    return configuration
}

/// A logger that says nothing: tests look at results.
let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// A connection to a test's server.
func connect(_ server: LocalNATSServer) async throws -> NATSConnection {
    try await NATSConnection.connect(try configuration(server), logger: quiet)
}

/// Why connecting fails; `nil` when it does not.
func connectFailure(_ settings: NATSConnection.Configuration) async -> NATSError? {
    do throws(NATSError) {
        await (try NATSConnection.connect(settings, logger: quiet)).close()
        return nil
    } catch {
        return error
    }
}

extension NATSMessage {
    /// The payload as text.
    var text: String { String(buffer: payload) }
}

/// The next messages of a subscription, with a deadline.
func take(
    _ count: Int,
    from subscription: NATSSubscription,
    within limit: Duration = .seconds(20)
) async throws -> [NATSMessage] {
    try await withDeadline(limit, "\(count) messages") {
        var messages: [NATSMessage] = []
        var iterator = subscription.makeAsyncIterator()
        while messages.count < count, let message = try await iterator.next() { messages.append(message) }
        return messages
    }
}

/// The first status that fits, with a deadline.
@discardableResult
func status<Value: Sendable>(
    of connection: NATSConnection,
    within limit: Duration = .seconds(20),
    _ what: String,
    where matches: @escaping @Sendable (NATSStatus) -> Value?
) async throws -> Value {
    let updates = connection.statusUpdates()
    return try await withDeadline(limit, what) {
        for await update in updates {
            if let value = matches(update) { return value }
        }
        throw TestSupportError("the status ended before \(what)")
    }
}
