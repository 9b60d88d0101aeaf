import Hummingbird
import MeshEvents
import NIOCore

/// The event stream of one browser: missed events, read from the stream, then the items of the feed; each event once.
struct StreamSession {
    /// The most missed events that are examined; the rest is reported as skipped.
    static let maximumBacklog = 20_000
    /// How often browsers get the time, so that they notice a dead connection.
    static let tick: Duration = .seconds(5)
    let client: FeedClient
    let store: any EventStore
    let history: EventHistory
    let gate: QueryGate
    /// Who reads, for their share of the gate.
    let reader: String
    let filter: PageFilter
    let maximumBacklog: Int
    /// Until when all changes of the mesh have been sent to this browser: later changes wait in the client.
    private var told: Timestamp
    /// Whether the browser still has access: it may have logged out.
    let isAllowed: @Sendable () -> Bool
    /// The last sequence the browser has; `nil` when it has none and gets only new events.
    private(set) var cursor: UInt64?
    /// When the stream of that sequence was created; `nil` when it is not known.
    private var created: Timestamp?
    /// When the time is due next, while missed events are read.
    private var nextTick = ContinuousClock.now + tick

    /// The browser no longer has access.
    private struct NoLongerAllowed: Error {}

    init(
        client: FeedClient,
        store: any EventStore,
        history: EventHistory,
        gate: QueryGate,
        reader: String,
        filter: PageFilter,
        after: StreamPosition?,
        told: Timestamp,
        maximumBacklog: Int,
        isAllowed: @escaping @Sendable () -> Bool
    ) {
        self.client = client
        self.store = store
        self.history = history
        self.gate = gate
        self.reader = reader
        self.filter = filter
        self.told = told
        self.maximumBacklog = maximumBacklog
        self.isAllowed = isAllowed
        cursor = after?.sequence
        created = after?.created
    }

    /// Writes until the client ends, or has no more access.
    ///
    /// - Parameters:
    ///   - start: the feed's position.
    ///   - writer: the browser's; it may belong to no actor.
    @concurrent
    mutating func run(from start: EventFeed.Start, into writer: inout any ResponseBodyWriter) async throws {
        do {
            try await serve(from: start, into: &writer)
        } catch is NoLongerAllowed {
            return
        }
    }

    @concurrent
    private mutating func serve(from start: EventFeed.Start, into writer: inout any ResponseBodyWriter) async throws {
        switch start {
        case .notBegun: break
        case .after(let position): try await begin(after: position, &writer)
        case .unkept(let live): try await writer.write(unkeptNotice(live))
        }
        while let items = await client.next(), isAllowed() {
            var buffer = ByteBuffer()
            for item in items {
                switch item {
                case .event(let stored, var bytes):
                    guard stored.sequence > cursor ?? 0 else { continue }
                    cursor = stored.sequence
                    if filter.matches(stored.event) { buffer.writeBuffer(&bytes) }
                case .gap(let gap):
                    guard gap.sequences.upperBound > cursor ?? 0 else { continue }
                    let first = max(gap.sequences.lowerBound, (cursor ?? 0).next)
                    cursor = gap.sequences.upperBound
                    append(gapNotice(first...gap.sequences.upperBound, reason: "dropped"), to: &buffer)
                case .began(let start):
                    // The items before it were sent to the feed's clients before it.
                    if buffer.readableBytes > 0 { try await writer.write(buffer) }
                    buffer = ByteBuffer()
                    try await begin(after: start, &writer)
                case .reset(let last):
                    (cursor, created) = (last.sequence, last.created)
                    append(positionNotice("reset", last.sequence), to: &buffer)
                case .unkept(let live):
                    append(unkeptNotice(live), to: &buffer)
                case .live(let event, var bytes):
                    if filter.matches(event) { buffer.writeBuffer(&bytes) }
                case .notice(var bytes):
                    buffer.writeBuffer(&bytes)
                case .tick(let time, let mesh):
                    (told, nextTick) = (mesh, .now + Self.tick)
                    append(timeNotice(time, mesh: mesh), to: &buffer)
                }
            }
            if buffer.readableBytes > 0 { try await writer.write(buffer) }
        }
    }

    /// Sends the browser its position, and the missed events between that and the feed's position.
    @concurrent
    private mutating func begin(after place: StreamPosition, _ writer: inout any ResponseBodyWriter) async throws {
        let position = place.sequence
        let isSame = cursor == nil || StreamPosition(position, created: created).isSameStream(place.created)
        created = place.created
        if isSame, let known = cursor, known > position,
            known <= (try await sayingTheTime(&writer) { [store] in try await store.state().lastSequence })
        {
            // The browser is ahead of the feed, which catches up.
            return try await writer.write(positionNotice("position", known))
        }
        guard isSame, cursor ?? 0 <= position else {
            // The browser's position is in another stream, or beyond the end of this one.
            cursor = position
            return try await writer.write(positionNotice("reset", position))
        }
        guard let known = cursor, known != position else {
            cursor = position
            return try await writer.write(positionNotice("position", position))
        }
        let first = try await sayingTheTime(&writer) { [store] in try await store.state().firstSequence }
        if first > known + 1 {
            try await writer.write(gapNotice((known + 1)...(min(first, position.next) - 1), reason: "dropped"))
        }
        try await sendMissed(after: known, before: position.next, &writer)
        cursor = position
        try await writer.write(positionNotice("position", position))
    }

    @concurrent
    private mutating func sendMissed(
        after known: UInt64,
        before end: UInt64,
        _ writer: inout any ResponseBodyWriter
    ) async throws {
        guard let patterns = filter.queryPatterns else { return }
        var query = EventHistory.Query(matching: patterns, end: .oldest, before: end, after: known)
        query.created = created
        let asked = query
        var pages = try await sayingTheTime(&writer) { [store, history, gate, reader] in
            try await PageReader(asked, store: store, history: history, gate: gate, reader: reader)
        }
        var left = maximumBacklog
        while left > 0 {
            let (before, scan) = (pages, left)
            let read = try await sayingTheTime(&writer) {
                var pages = before
                return (try await pages.next(scan: scan, timeout: .seconds(30)), pages)
            }
            guard isAllowed() else { throw NoLongerAllowed() }
            pages = read.1
            guard let page = read.0 else { break }
            left -= page.events.count + page.malformed + page.rejected
            var buffer = ByteBuffer()
            for stored in page.events where filter.matches(stored.event) {
                guard case .event(_, var bytes) = EventFeed.item(stored, created: created) else { continue }
                buffer.writeBuffer(&bytes)
                cursor = stored.sequence
            }
            if let looked = pages.query?.after, looked > cursor ?? 0 {
                // Events that do not match need not be examined again.
                cursor = looked
                append(timeNotice(.now, mesh: told), to: &buffer)
            }
            if buffer.readableBytes > 0 { try await writer.write(buffer) }
        }
        // Nothing was skipped when reading reached the end.
        guard let read = pages.query?.after, read.next < end else { return }
        try await writer.write(gapNotice(read.next...(end - 1), reason: "skipped"))
    }

    /// Waits for the result of `body`, and sends the time meanwhile, as the feed does at other times: over a slow line
    /// or in a queue, `body` may take long.
    @concurrent
    private mutating func sayingTheTime<Answer: Sendable>(
        _ writer: inout any ResponseBodyWriter,
        _ body: @escaping @Sendable () async throws -> Answer
    ) async throws -> Answer {
        try await withThrowingTaskGroup(of: Answer?.self) { group in
            defer { group.cancelAll() }
            group.addTask { try await body() }
            while true {
                let next = nextTick
                group.addTask {
                    try await Task.sleep(until: next, clock: .continuous)
                    return nil
                }
                guard let step = try await group.next() else { throw CancellationError() }
                if let answer = step { return answer }
                guard isAllowed() else { throw NoLongerAllowed() }
                try await writer.write(timeNotice(.now, mesh: told))
                nextTick = .now + Self.tick
            }
        }
    }

    private func append(_ bytes: ByteBuffer, to buffer: inout ByteBuffer) {
        var bytes = bytes
        buffer.writeBuffer(&bytes)
    }

    // MARK: Notices

    /// Tells that there is no stream. It has no `id`, because there is no position to come back to.
    private func unkeptNotice(_ live: EventFeed.Live) -> ByteBuffer {
        let json: EventData = ["since": .string(live.since.description), "live": JSONValue(live.count)]
        return ServerSentEvent.buffer("unkept", json.json.utf8)
    }

    private func timeNotice(_ time: Timestamp, mesh: Timestamp) -> ByteBuffer {
        let json: EventData = ["time": .string(time.description), "mesh": .string(mesh.description)]
        return ServerSentEvent.buffer("time", id: cursor.map { place($0) }, json.json.utf8)
    }

    private func place(_ sequence: UInt64) -> StreamPosition { StreamPosition(sequence, created: created) }

    private func gapNotice(_ sequences: ClosedRange<UInt64>, reason: String) -> ByteBuffer {
        let json: EventData = [
            "from": JSONValue(sequences.lowerBound), "to": JSONValue(sequences.upperBound),
            "reason": .string(reason),
        ]
        return ServerSentEvent.buffer("gap", id: place(sequences.upperBound), json.json.utf8)
    }

    private func positionNotice(_ name: String, _ sequence: UInt64) -> ByteBuffer {
        let json: EventData = ["sequence": JSONValue(sequence)]
        return ServerSentEvent.buffer(name, id: place(sequence), json.json.utf8)
    }
}

/// Writes the lines of server-sent events (the HTML standard, "Server-sent events").
enum ServerSentEvent {
    /// The bytes of one server-sent event.
    ///
    /// - Parameters:
    ///   - name: its type; `nil` for `message`.
    ///   - id: the position that a browser sends back when it reconnects.
    ///   - data: UTF-8; it may have line breaks.
    static func buffer(_ name: String? = nil, id: StreamPosition? = nil, _ data: some Collection<UInt8>) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.reserveCapacity(data.count + 64)
        if let name { buffer.writeString("event: \(name)\n") }
        if let id { buffer.writeString("id: \(id.text)\n") }
        for line in data.split(omittingEmptySubsequences: false, whereSeparator: { $0 == 0x0A || $0 == 0x0D }) {
            buffer.writeString("data: ")
            buffer.writeBytes(line)
            buffer.writeString("\n")
        }
        buffer.writeString("\n")
        return buffer
    }

    /// The bytes that set how long a browser waits before it reconnects, in milliseconds.
    static func retry(milliseconds: Int) -> ByteBuffer { ByteBuffer(string: "retry: \(milliseconds)\n\n") }
}
