import MeshEvents

/// The items that a follower has received and its reader has not taken yet. A pure value.
struct FollowQueue: Sendable {
    /// What a reader gets.
    enum Answer: Sendable {
        case items([FollowedItem])
        case end
        case failure(MeshEventsError)
    }

    private var items: [FollowedItem] = []
    private var ending: Answer?
    /// The bytes of the messages that wait.
    private(set) var bytes = 0

    /// How many items wait.
    var count: Int { items.count }
    /// Whether nothing more comes.
    var isEnded: Bool { ending != nil }

    mutating func append(_ item: FollowedItem) {
        guard ending == nil else { return }
        items.append(item)
        if case .message(let message) = item { bytes += message.payload.count + message.subject.utf8.count }
    }

    /// Ends the queue; items that wait can still be taken.
    mutating func finish(_ error: MeshEventsError?) {
        if ending == nil { ending = error.map { .failure($0) } ?? .end }
    }

    /// Ends at once; drops the items that wait.
    mutating func cancel() {
        ending = .end
        items = []
        bytes = 0
    }

    /// What a reader gets now; `nil` when it has to wait.
    mutating func take() -> Answer? {
        guard items.isEmpty else {
            defer {
                items = []
                bytes = 0
            }
            return .items(items)
        }
        return ending
    }
}
