import Locking
import MeshEvents
import NIOCore

/// The bounded queue of items for one browser. A browser that is too slow is cut off; after it reconnects, it gets the
/// missed events from the stream.
final class FeedClient: Sendable {
    private struct State {
        var items: [FeedItem] = []
        var bytes = 0
        var isEnded = false
        var onCut: (@Sendable () -> Void)?
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let maximumItems: Int
    private let maximumBytes: Int
    private let state = Locked(State())

    init(maximumItems: Int, maximumBytes: Int) {
        self.maximumItems = maximumItems
        self.maximumBytes = maximumBytes
    }

    /// Queues an item; cuts the client off when there is no room.
    ///
    /// - Returns: Whether the client goes on.
    @discardableResult
    func offer(_ item: FeedItem) -> Bool {
        let (isThere, waiter, onCut) = state.withLock { state in
            guard !state.isEnded else {
                return (false, nil as CheckedContinuation<Void, Never>?, nil as (@Sendable () -> Void)?)
            }
            guard state.items.count < maximumItems, state.bytes + item.size <= maximumBytes else {
                state.isEnded = true
                state.items = []
                return (false, Self.take(&state.waiter), state.onCut)
            }
            state.items.append(item)
            state.bytes += item.size
            return (true, Self.take(&state.waiter), nil)
        }
        waiter?.resume()
        onCut?()
        return isThere
    }

    /// Sets the closure for when the client is cut off; it frees a writer that hangs.
    func whenCut(_ action: @escaping @Sendable () -> Void) { state.withLock { $0.onCut = action } }

    /// Ends this client to make room for another: with a last item if it has taken all earlier ones, else cut off.
    func giveWay(saying item: FeedItem) {
        let (waiter, onCut) = state.withLock {
            state -> (CheckedContinuation<Void, Never>?, (@Sendable () -> Void)?) in
            guard !state.isEnded else { return (nil, nil) }
            state.isEnded = true
            let waiter = Self.take(&state.waiter)
            state.items = waiter == nil ? [] : [item]
            return (waiter, waiter == nil ? state.onCut : nil)
        }
        waiter?.resume()
        onCut?()
    }

    /// Ends the client after the items that wait.
    func end() {
        state.withLock { state in
            state.isEnded = true
            return Self.take(&state.waiter)
        }?.resume()
    }

    /// Waits for items and takes all of them; `nil` at the end. For one reader.
    func next() async -> [FeedItem]? {
        while true {
            let (items, isEnded) = state.withLock { state in
                defer { (state.items, state.bytes) = ([], 0) }
                return (state.items, state.isEnded)
            }
            if !items.isEmpty { return items }
            if isEnded || Task.isCancelled { return nil }
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let isReady = state.withLock { state in
                        guard state.items.isEmpty, !state.isEnded, !Task.isCancelled else { return true }
                        state.waiter = continuation
                        return false
                    }
                    if isReady { continuation.resume() }
                }
            } onCancel: {
                state.withLock { Self.take(&$0.waiter) }?.resume()
            }
        }
    }

    private static func take(
        _ waiter: inout CheckedContinuation<Void, Never>?
    ) -> CheckedContinuation<Void, Never>? {
        defer { waiter = nil }
        return waiter
    }
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
