/// How many requests are under way at once, told by how long answers take. A pure value.
///
/// While answers come about as soon as a single one would, more requests do no harm; when they take longer, they wait for
/// each other on the link or at the server, and more would only wait longer.
struct RequestPace {
    /// The most requests under way at once.
    static let most = 64
    /// How many there are at first.
    private static let first = 16
    /// How many bytes of answers are to be under way at first, where the size of messages is known.
    private static let firstBytes = 64 << 10
    /// How many bytes of answers are to be under way at most.
    private static let mostBytes = 1 << 20
    /// How long an answer may wait for others until there are no more requests.
    private static let waitAllowed = Duration.milliseconds(250)
    /// From when on there are fewer.
    private static let waitTolerated = Duration.seconds(1)
    /// What an answer has beside the message.
    private static let answerSize = 256

    /// How many requests may be under way.
    private(set) var width: Int
    /// How long the quickest answer took: no other was in its way.
    private(set) var quickest: Duration?
    /// What a message takes, in bytes; `nil` as long as nothing is known.
    private(set) var average: Int?
    /// The answers since `width` was last looked at.
    private var round = (count: 0, took: Duration.zero, isFull: false)
    /// How many answers are still to come of the time when there were more requests.
    private var left = 0

    /// - Parameter size: what a message takes, in bytes; `nil` when nothing is known.
    init(size: Int? = nil) {
        average = size
        width = size.map { min(max(Self.firstBytes / Self.answer($0), 1), Self.first) } ?? Self.first
    }

    /// An answer has come.
    ///
    /// - Parameters:
    ///   - took: how long after its request.
    ///   - size: what its message takes.
    ///   - underWay: how many requests were under way, it among them.
    ///   - wasAlone: whether there was no other when it was sent: then this is how long an answer takes now.
    mutating func answered(after took: Duration, size: Int, underWay: Int, wasAlone: Bool) {
        average = average.map { ($0 * 7 + size) / 8 } ?? size
        quickest = wasAlone ? took : min(quickest ?? took, took)
        guard left == 0 else { return left -= 1 }
        round.count += 1
        round.took += took
        round.isFull = round.isFull || underWay >= width
        guard round.count >= width, let quickest else { return }
        let waited = round.took / round.count - quickest
        if waited > Self.waitTolerated {
            let factor = (Self.waitTolerated / 2) / waited
            width = max(1, min(width - 1, Int(Double(width) * factor)))
            left = underWay - 1
        } else if waited < Self.waitAllowed, round.isFull {
            width *= 2
        }
        width = min(width, Self.most, max(1, Self.mostBytes / Self.answer(average ?? 0)))
        round = (0, .zero, false)
    }

    /// Requests were not answered in time.
    mutating func hasFailed() {
        width = max(1, width / 2)
        (round, left) = ((0, .zero, false), 0)
    }

    /// Messages come as base64 in JSON.
    private static func answer(_ size: Int) -> Int { size / 3 * 4 + answerSize }
}
