import MeshEvents

/// Reads stored events page by page, so few at once that their bytes are bounded, however large each of them is, and
/// that a page does not take long, however slow the line is.
struct PageReader: Sendable {
    /// A stream that is no larger than this may be read in pages of ``largestPage``: they cannot be larger than it.
    private static let smallStream: UInt64 = 16 << 20
    private static let largestPage = 1_024
    /// Else pages begin with so many events, grow while those that came are small, and end at ``pageBytes``.
    private static let firstPage = 16
    /// The size of a page that is aimed at, in bytes.
    private static let pageBytes = 4 << 20
    /// A page begins with so many bytes, has at least so many when the line is slow, and twice as many as the one
    /// before when that was quick.
    private static let firstBytes = 128 << 10
    private static let fewestBytes = 32 << 10
    /// What is quick, and what is slow.
    private static let times = (quick: Duration.seconds(2), slow: Duration.seconds(4))

    private let history: EventHistory
    private let gate: QueryGate
    /// When the stream was created that is read.
    let created: Timestamp?
    private var size: Int
    private var bytes = firstBytes
    /// What to read next; `nil` at the end.
    private(set) var query: EventHistory.Query?

    /// - Throws: as the store's state: `streamNotFound` …
    init(
        _ query: EventHistory.Query,
        store: any EventStore,
        history: EventHistory,
        gate: QueryGate
    ) async throws(MeshEventsError) {
        let state = try await store.state()
        created = query.created ?? state.created
        let isSmall = state.bytes <= Self.smallStream
        size = isSmall ? Self.largestPage : Self.firstPage
        self.history = history
        self.gate = gate
        self.query = query
        self.query?.created = created
    }

    /// The next page; `nil` at the end.
    ///
    /// - Parameters:
    ///   - limit: how many events are wanted.
    ///   - scan: how many messages may be looked at.
    ///   - timeout: how long it may take.
    /// - Throws: as ``EventHistory/page(_:)`` and ``QueryGate/run(_:)``.
    mutating func next(
        limit: Int = .max,
        scan: Int = .max,
        timeout: Duration = .seconds(15)
    ) async throws(MeshEventsError) -> EventHistory.Page? {
        guard var query else { return nil }
        query.limit = max(1, min(limit, size))
        query.readLimit = max(2, size / max(1, query.patterns.count))
        query.scanLimit = max(1, scan)
        query.scanByteLimit = bytes
        query.timeout = timeout
        let asked = query
        let history = history
        var began = ContinuousClock.now
        let page = try await gate.run { () async throws(MeshEventsError) in
            // What it has waited for its turn does not count.
            began = .now
            return try await history.page(asked)
        }
        let time = ContinuousClock.now - began
        if time < Self.times.quick { bytes = min(bytes * 2, Self.pageBytes) }
        if time > Self.times.slow { bytes = max(bytes / 2, Self.fewestBytes) }
        let largest = page.events.map { $0.event.data.json.utf8.count }.max() ?? 0
        size = max(1, min(size * 2, Self.largestPage, Self.pageBytes / max(largest, 1)))
        self.query = query.next(after: page)
        return page
    }
}

extension UInt64 {
    /// The next sequence; the last there is stays what it is, also when a server claims to have reached it.
    var next: UInt64 { self == .max ? self : self + 1 }
}
