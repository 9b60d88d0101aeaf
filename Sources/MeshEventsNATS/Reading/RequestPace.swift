/// Decides how many requests are under way at once, by how long answers take. A pure value.
///
/// While answers come about as soon as a single one would, more requests do no harm. When answers take longer, they
/// wait for each other on the link or at the server, and more requests would only wait longer.
struct RequestPace {
    /// The most requests under way at once.
    static let most = 64
    /// How many requests there are at first.
    private static let first = 16
    /// How many bytes of answers should be under way at first, when the size of messages is known.
    private static let firstBytes = 64 << 10
    /// How many bytes of answers may be under way.
    private static let mostBytes = 1 << 20
    /// Up to this average wait for other answers, the number of requests grows.
    private static let waitAllowed = Duration.milliseconds(250)
    /// From this average wait on, the number of requests shrinks.
    private static let waitTolerated = Duration.seconds(1)
    /// How many bytes an answer has beside the message.
    private static let answerSize = 256

    /// How many requests may be under way.
    private(set) var width: Int
    /// How long the quickest answer took: it did not wait for others.
    private(set) var quickest: Duration?
    /// How many bytes a message takes; `nil` as long as unknown.
    private(set) var average: Int?
    /// The answers since `width` was last checked.
    private var round = (count: 0, took: Duration.zero, isFull: false)
    /// How many answers are still to come from the time with more requests.
    private var left = 0

    /// - Parameter size: how many bytes a message takes; `nil` when unknown.
    init(size: Int? = nil) {
        average = size
        width = size.map { min(max(Self.firstBytes / Self.answer($0), 1), Self.first) } ?? Self.first
    }

    /// Takes an answer into account.
    ///
    /// - Parameters:
    ///   - took: how long after its request it came.
    ///   - size: how many bytes its message takes.
    ///   - underWay: how many requests were under way, including this one.
    ///   - wasAlone: whether no other was under way when it was sent: then `took` is how long an answer takes now.
    mutating func answered(after took: Duration, size: Int, underWay: Int, wasAlone: Bool) {
        // Larger messages count at once: too many of them on the way make the server take the client for a slow consumer.
        average = average.map { max(($0 * 7 + size) / 8, size) } ?? size
        width = min(width, largestWidth)
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
        width = min(width, largestWidth)
        round = (0, .zero, false)
    }

    /// Halves the number of requests, because some were not answered in time.
    mutating func hasFailed() {
        width = max(1, width / 2)
        (round, left) = ((0, .zero, false), 0)
    }

    /// How many requests may be under way for messages of the present size.
    private var largestWidth: Int { min(Self.most, max(1, Self.mostBytes / Self.answer(average ?? 0))) }

    /// The size of an answer in bytes: messages come as base64 in JSON.
    private static func answer(_ size: Int) -> Int { size / 3 * 4 + answerSize }
}
