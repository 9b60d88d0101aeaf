public import MeshEvents
import NATSClient

extension JetStreamStore {
    /// The message with this sequence; `nil` when the stream has none. One request, which changes nothing on the server.
    ///
    /// - Throws: `streamNotFound`, `persistenceUnavailable`, `permissionDenied`, `timeout`, `closed`.
    public func message(_ sequence: UInt64, timeout: Duration) async throws(MeshEventsError) -> StoredMessage? {
        let found = try await single(timeout) { left throws(JetStreamError) in
            try await jetStream.message(atOrAfter: sequence, matching: ">", on: streamName, timeout: left)
        }
        return found?.sequence == sequence ? found : nil
    }

    /// The newest message to this subject; `nil` when there is none. One request, which changes nothing on the server.
    ///
    /// - Throws: as ``message(_:timeout:)``.
    public func newestMessage(on subject: String, timeout: Duration) async throws(MeshEventsError) -> StoredMessage? {
        try await single(timeout) { left throws(JetStreamError) in
            try await jetStream.lastMessage(to: subject, on: streamName, timeout: left)
        }
    }

    private func single(
        _ timeout: Duration,
        _ request: (_ left: Duration) async throws(JetStreamError) -> StreamMessage?
    ) async throws(MeshEventsError) -> StoredMessage? {
        try await retrying(until: .now + timeout) { deadline throws(JetStreamError) in
            guard let message = try await request(Self.remaining(deadline)) else { return nil }
            return try StoredMessage.all([message]).first
        }
    }
}
