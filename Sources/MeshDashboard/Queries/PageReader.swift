import MeshConcurrency
import MeshEvents

/// Reads stored events page by page. It adapts the size of the pages, so that their bytes are bounded even for large
/// events, and that a page does not take long even over a slow line.
struct PageReader: Sendable {
    /// A stream of at most this size, in bytes, may be read in pages of ``largestPage`` events: no page is larger.
    private static let smallStream: UInt64 = 16 << 20
    private static let largestPage = 1_024
    /// For larger streams, the number of events in the first page; pages grow while events are small, up to
    /// ``pageBytes``.
    private static let firstPage = 16
    /// The size of a page to aim at, in bytes.
    private static let pageBytes = 4 << 20
    /// The byte limit of the first page, and the smallest one. The limit doubles after a quick page, and is halved
    /// after a slow one.
    private static let firstBytes = 128 << 10
    private static let fewestBytes = 32 << 10
    /// Below which time a page is quick, and above which it is slow.
    private static let times = (quick: Duration.seconds(2), slow: Duration.seconds(4))

    private let history: EventHistory
    private let gate: QueryGate
    private let reader: String?
    /// When the stream was created.
    let created: Timestamp?
    private var size: Int
    private var bytes = firstBytes
    /// What to read next; `nil` at the end.
    private(set) var query: EventHistory.Query?

    /// Prepares reading; it asks the store for the stream's size.
    ///
    /// - Parameters:
    ///   - query: what to read.
    ///   - store: the stream's store.
    ///   - history: reads from it.
    ///   - gate: lets in a page at a time.
    ///   - reader: who reads, for their share of the gate; `nil` has none.
    /// - Throws: as the store's state: `streamNotFound` …
    init(
        _ query: EventHistory.Query,
        store: any EventStore,
        history: EventHistory,
        gate: QueryGate,
        reader: String?
    ) async throws(MeshEventsError) {
        let state = try await store.state()
        created = query.created ?? state.created
        let isSmall = state.bytes <= Self.smallStream
        size = isSmall ? Self.largestPage : Self.firstPage
        self.history = history
        self.gate = gate
        self.reader = reader
        self.query = query
        self.query?.created = created
    }

    /// The next page; `nil` at the end.
    ///
    /// - Parameters:
    ///   - limit: how many events are wanted.
    ///   - scan: how many messages may be examined.
    ///   - timeout: how long it may take.
    /// - Throws: as ``EventHistory/page(_:)`` and ``QueryGate/run(for:_:)``.
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
        let page = try await gate.run(for: reader) { () async throws(MeshEventsError) in
            // The wait for the gate does not count.
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
    /// The next sequence; the largest one stays unchanged, so that a server's wrong value does no harm.
    var next: UInt64 { self == .max ? self : self + 1 }
}

/// Limits how many requests of a kind run at once; others wait in order. Each holds messages, which can be large.
///
/// A reader may have no more than a share of them, so that what is slow for it, as a node on a slow link, holds up no other.
final class QueryGate: Sendable {
    /// How many requests of one reader run and wait at once.
    struct Share: Sendable {
        var running: Int
        var waiting: Int
    }

    private struct Waiter {
        let id: UInt64
        let reader: String?
        let continuation: CheckedContinuation<Bool, Never>
    }

    private struct State {
        var running = 0
        /// How many of those are each reader's.
        var runningOf: [String: Int] = [:]
        var waiters: [Waiter] = []
        var lastID: UInt64 = 0
    }

    private let maximumRunning: Int
    private let maximumWaiting: Int
    private let share: Share?
    private let state = Locked(State())

    /// - Parameter share: the most for one reader; `nil` for as many as for all.
    init(maximumRunning: Int, maximumWaiting: Int, share: Share? = nil) {
        self.maximumRunning = maximumRunning
        self.maximumWaiting = maximumWaiting
        self.share = share
    }

    /// How many requests wait.
    var waiting: Int { state.withLock { $0.waiters.count } }

    /// Runs `body` when it is its turn.
    ///
    /// - Parameters:
    ///   - reader: who asks; `nil` has no share of its own.
    ///   - body: what to do.
    /// - Throws: `persistenceUnavailable` when too many wait already, `closed` when the task is cancelled meanwhile,
    ///   and what `body` throws.
    func run<Result>(
        for reader: String? = nil,
        _ body: () async throws(MeshEventsError) -> Result
    ) async throws(MeshEventsError) -> Result {
        try await enter(reader)
        defer { leave(reader) }
        return try await body()
    }

    /// Whether a request of this reader would run or wait, and not be refused. It may be refused all the same when others
    /// come before it.
    func mayEnter(_ reader: String?) -> Bool {
        state.withLock { hasRoom(for: reader, $0) || mayWait(reader, $0) }
    }

    /// The error of a request that is refused.
    static var tooMany: MeshEventsError {
        MeshEventsError(
            .persistenceUnavailable,
            "too many requests of this kind are under way; try again in a moment",
            isRetriable: true
        )
    }

    /// Waits for the turn of a request; ``leave(_:)`` ends it.
    ///
    /// - Throws: as ``run(for:_:)``.
    func enter(_ reader: String?) async throws(MeshEventsError) {
        let id = state.withLock { state in
            state.lastID += 1
            return state.lastID
        }
        let isIn = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let immediate = state.withLock { state -> Bool? in
                    if hasRoom(for: reader, state) {
                        begin(reader, &state)
                        return true
                    }
                    if Task.isCancelled || !mayWait(reader, state) { return false }
                    state.waiters.append(Waiter(id: id, reader: reader, continuation: continuation))
                    return nil
                }
                if let immediate { continuation.resume(returning: immediate) }
            }
        } onCancel: {
            state.withLock { state -> CheckedContinuation<Bool, Never>? in
                guard let index = state.waiters.firstIndex(where: { $0.id == id }) else { return nil }
                return state.waiters.remove(at: index).continuation
            }?.resume(returning: false)
        }
        guard isIn else {
            if Task.isCancelled { throw MeshEventsError(.closed, "the request was cancelled") }
            throw Self.tooMany
        }
    }

    /// Ends a request that has entered.
    func leave(_ reader: String?) {
        state.withLock { state -> CheckedContinuation<Bool, Never>? in
            state.running -= 1
            if let reader {
                let left = (state.runningOf[reader] ?? 1) - 1
                state.runningOf[reader] = left > 0 ? left : nil
            }
            // The place passes to the next waiter that has not all of its share; no other one can have become free.
            guard let next = state.waiters.firstIndex(where: { hasRoom(for: $0.reader, state) }) else { return nil }
            let waiter = state.waiters.remove(at: next)
            begin(waiter.reader, &state)
            return waiter.continuation
        }?.resume(returning: true)
    }

    private func hasRoom(for reader: String?, _ state: State) -> Bool {
        guard state.running < maximumRunning else { return false }
        guard let reader, let share else { return true }
        return state.runningOf[reader] ?? 0 < share.running
    }

    private func mayWait(_ reader: String?, _ state: State) -> Bool {
        guard state.waiters.count < maximumWaiting else { return false }
        guard let reader, let share else { return true }
        return state.waiters.count { $0.reader == reader } < share.waiting
    }

    private func begin(_ reader: String?, _ state: inout State) {
        state.running += 1
        if let reader { state.runningOf[reader, default: 0] += 1 }
    }
}
