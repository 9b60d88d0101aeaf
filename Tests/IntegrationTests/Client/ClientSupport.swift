import NATSClient
import NIOCore
import TestSupport

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
    within limit: Duration = .seconds(60)
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
    within limit: Duration = .seconds(60),
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
