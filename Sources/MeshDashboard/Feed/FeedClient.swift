import MeshConcurrency
import MeshEvents

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
