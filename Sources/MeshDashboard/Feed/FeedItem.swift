import MeshEvents
import NIOCore

/// What the feed hands to each of its clients, in the order of the stream.
enum FeedItem: Sendable {
    /// An event, and its bytes for the browser.
    case event(StoredEvent, ByteBuffer)
    /// Events that the stream dropped before they could be read.
    case gap(ReplayGap)
    /// From the event behind this sequence on all that is stored will follow: the feed has begun.
    case began(after: StreamPosition)
    /// The stream is another one: the sequences begin anew, behind this one.
    case reset(after: StreamPosition)
    /// There is no stream: what follows are live events, until there is one.
    case unkept(EventFeed.Live)
    /// An event that is not kept, and its bytes for the browser.
    case live(Event, ByteBuffer)
    /// Something for everybody that has no place in the stream.
    case notice(ByteBuffer)
    /// The time, so that silence means something, and how far the client is: with a filter it may see nothing for long;
    /// and up to when all changes of the mesh have been told.
    case tick(Timestamp, mesh: Timestamp)

    /// How much of a client's buffer it takes, in bytes: what it holds, also when little of it is sent.
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
