import MeshConcurrency
import MeshEvents
import NIOCore

/// The bounded queue of items for one browser. A browser that is too slow is cut off; after it reconnects, it gets the
/// missed events from the stream.
final class FeedClient: Sendable {
    private struct State: AwaitableState {
        var items: [FeedItem] = []
        var bytes = 0
        var isEnded = false
        var onCut: (@Sendable () -> Void)?

        /// All items that wait; `.some(nil)` at the end.
        mutating func takeAnswer() -> [FeedItem]?? {
            guard !items.isEmpty else { return isEnded ? .some(nil) : nil }
            defer { (items, bytes) = ([], 0) }
            return items
        }
    }

    private let maximumItems: Int
    private let maximumBytes: Int
    private let state = Awaitable(State())

    init(maximumItems: Int, maximumBytes: Int) {
        self.maximumItems = maximumItems
        self.maximumBytes = maximumBytes
    }

    /// Queues an item; cuts the client off when there is no room.
    ///
    /// - Returns: Whether the client goes on.
    @discardableResult
    func offer(_ item: FeedItem) -> Bool {
        let (isThere, onCut) = state.update { state -> (Bool, (@Sendable () -> Void)?) in
            guard !state.isEnded else { return (false, nil) }
            guard state.items.count < maximumItems, state.bytes + item.size <= maximumBytes else {
                state.isEnded = true
                state.items = []
                return (false, state.onCut)
            }
            state.items.append(item)
            state.bytes += item.size
            return (true, nil)
        }
        onCut?()
        return isThere
    }

    /// Sets the closure for when the client is cut off; it frees a writer that hangs.
    func whenCut(_ action: @escaping @Sendable () -> Void) { state.withLock { $0.onCut = action } }

    /// Ends this client to make room for another: with a last item if it has taken all earlier ones, else cut off.
    func giveWay(saying item: FeedItem) {
        let onCut = state.update { state, waiting -> (@Sendable () -> Void)? in
            guard !state.isEnded else { return nil }
            state.isEnded = true
            state.items = waiting == 0 ? [] : [item]
            return waiting == 0 ? state.onCut : nil
        }
        onCut?()
    }

    /// Ends the client after the items that wait.
    func end() { state.update { $0.isEnded = true } }

    /// Waits for items and takes all of them; `nil` at the end, and when the task is cancelled. For one reader.
    func next() async -> [FeedItem]? { await state.next() ?? nil }
}

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
