import MeshEvents
import NIOCore

/// An item that the feed passes to its clients, in the order of the stream.
enum FeedItem: Sendable {
    /// An event, and its bytes for the browser.
    case event(StoredEvent, ByteBuffer)
    /// Events that the stream dropped before they could be read.
    case gap(ReplayGap)
    /// The feed has begun: all stored events after this sequence will follow.
    case began(after: StreamPosition)
    /// The stream was replaced: its sequences follow, after this one.
    case reset(after: StreamPosition)
    /// There is no stream: live events follow until there is one.
    case unkept(EventFeed.Live)
    /// A live event that no stream keeps, and its bytes for the browser.
    case live(Event, ByteBuffer)
    /// The bytes of a message to all browsers, without a position in the stream.
    case notice(ByteBuffer)
    /// The time, and until when all changes of the mesh have been sent. It shows a browser that the connection works,
    /// and its position: with a filter it may get no event for long.
    case tick(Timestamp, mesh: Timestamp)

    /// The size in a client's buffer, in bytes: all that the item holds, even when only a part of it is sent.
    var size: Int {
        switch self {
        case .event(let stored, let buffer): Self.size(stored.event, buffer)
        case .live(let event, let buffer): Self.size(event, buffer)
        case .notice(let buffer): buffer.readableBytes + 128
        case .gap, .began, .reset, .unkept, .tick: 128
        }
    }

    private static func size(_ event: Event, _ buffer: ByteBuffer) -> Int {
        buffer.readableBytes + event.data.json.utf8.count + event.node.utf8.count + 128
    }
}
