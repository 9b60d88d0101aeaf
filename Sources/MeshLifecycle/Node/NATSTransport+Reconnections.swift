public import MeshEventsNATS
import NATSClient

extension NATSTransport {
    /// One element for every time the connection has been restored; ends when it is closed for good.
    ///
    /// ```swift
    /// let node = MeshNode(bus: persistent, reconnections: transport.reconnections)
    /// ```
    public var reconnections: AsyncStream<Void> {
        // The first status is only the present one.
        let changes = connection.statusUpdates().dropFirst()
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let watch = Task {
            for await change in changes {
                if case .reconnected = change { continuation.yield() }
            }
            continuation.finish()
        }
        continuation.onTermination = { _ in watch.cancel() }
        return stream
    }
}
