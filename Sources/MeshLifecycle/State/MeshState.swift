public import MeshEvents

/// The mesh as its events tell it: which nodes there are and how they are, and what their tools do. A pure value: apply
/// events, move the time, ask.
///
/// ```swift
/// var state = MeshState()
/// for stored in try await persistent.history(matching: "events.node.>") { state.apply(stored) }
/// state.advance(to: .now)
/// for node in state.nodes { print(node.name, node.status) }
/// ```
///
/// - **Order makes no difference.** Each fact about a node has the time its event carries; an older one never replaces a
///   newer one. A time later than the event's arrival counts as the arrival, so that a clock that is ahead, and is set
///   right later, does no harm. The stream's sequence decides between equal times, and without one the order of arrival.
/// - **Repeats change nothing**, events that are missing only leave something unknown: what is said about a node or tool
///   that was not known creates it. An event without a node is about none, and ignored.
/// - **Unreachable** is a node of which nothing was heard for three of its health intervals, counted from the time its
///   last event arrived, so that its own clock does not matter. The interval is the newest `interval_s` (seconds) in its
///   capabilities or resources; without one the distance of its last two health events, from 10 s to an hour; else 10 s.
///   A node that never sends health, as those of the Go mesh, never becomes unreachable: after ``silence`` it is silent,
///   which says only that nothing was heard of it, and its tools keep their last state.
/// - **A node that left** has no tools that run: they show as stopped. So do those of a node that was started anew, which
///   is known by another `instance` in its `node.joined`. Tools of an unreachable node keep their last state and are
///   marked ``Tool/isUncertain``.
/// - `node.joined` without capabilities, as nodes of the Go mesh send it when they reconnect, leaves those known.
///
/// What it costs to apply an event does not depend on how many nodes there are, nor on how many tools a node has. What it
/// remembers is bounded by ``Limits``, in numbers and in bytes, whatever strangers emit; ``leftOut`` counts what was dropped.
/// Where a limit is reached, the order of events does make a difference.
public struct MeshState: Sendable {
    /// After how many health intervals of silence a node is unreachable.
    public static let missedIntervals = 3
    /// After how long a node that never sends health is silent: five minutes.
    public static let silence: Duration = .seconds(300)

    /// How many shards the table of many nodes has.
    private static let shards = 256

    /// A node, and where it stands in the queues.
    private struct Entry: Sendable, Equatable {
        var record: NodeRecord
        /// Its time in ``silent``.
        var silentAt: Timestamp
        /// Its time in ``deadlines``; `nil` when it is not in there.
        var wakesAt: Timestamp?

        /// Where it stands follows from how events came.
        static func == (left: Entry, right: Entry) -> Bool { left.record == right.record }
    }

    /// How much is kept.
    public let limits: Limits
    /// What was not kept.
    public private(set) var leftOut = LeftOut()
    private var entries = ShardedTable<Entry>(width: shards)
    /// What the nodes take, in bytes, about.
    private(set) var bytes = 0
    /// Every node by when it was last heard of, or earlier.
    private var silent = TimeQueue()
    /// The nodes that become unreachable or silent after ``now`` by when that is, or earlier.
    private var deadlines = TimeQueue()
    /// The time at which questions are answered; ``advance(to:)`` moves it.
    public private(set) var now = Timestamp.epoch

    /// Creates the state of a mesh of which nothing is known.
    public init(limits: Limits = Limits()) { self.limits = limits }

    // MARK: Events

    /// Takes in an event of the stream.
    ///
    /// - Returns: What it changed; `nil` when nothing, or only ``Node/lastSeen``.
    @discardableResult
    public mutating func apply(_ stored: StoredEvent) -> Change? {
        apply(stored.event, receivedAt: stored.storedAt, sequence: stored.sequence)
    }

    /// Takes in an event.
    ///
    /// - Parameters:
    ///   - event: any event; those that are not about nodes and tools are ignored.
    ///   - receivedAt: when it arrived, by the clock that ``advance(to:)`` follows. Default: its own timestamp.
    ///   - sequence: its sequence in the stream; 0 when it has none.
    /// - Returns: What it changed; `nil` when nothing, or only ``Node/lastSeen``.
    @discardableResult
    public mutating func apply(_ event: Event, receivedAt: Timestamp? = nil, sequence: UInt64 = 0) -> Change? {
        guard !event.node.isEmpty, let fact = LifecycleFact(event) else { return nil }
        guard event.node.utf8.count <= Limits.nameBytes, fact.toolName.utf8.count <= Limits.nameBytes else {
            leftOut.values += 1
            return nil
        }
        let received = receivedAt ?? event.timestamp
        let stamp = Stamp(at: min(event.timestamp, received), sequence: sequence)
        let (now, limits, node) = (now, limits, event.node)
        let count = entries.count
        // In place: neither the record nor the table is copied.
        let initial = Entry(record: NodeRecord(lastSeen: received), silentAt: received)
        let (bytesBefore, bytesAfter, change, left) = entries.update(node, default: initial) { entry in
            let before = entry.record.bytes
            let (change, leftOut) = entry.record.change(
                by: fact,
                at: stamp,
                received: received,
                now: now,
                node: node,
                limits: limits
            )
            return (before, entry.record.bytes, change, leftOut)
        }
        let isNew = entries.count > count
        bytes += bytesAfter - (isNew ? 0 : bytesBefore)
        leftOut.add(left)
        if isNew { queueSilent(node, at: received) }
        queueDeadline(of: node)
        makeRoom()
        guard entries[node] != nil else { return nil }
        var result = change
        if isNew { result.kinds.insert(.status) }
        return result.kinds.isEmpty ? nil : result
    }

    /// Drops the nodes that were silent longest until the rest is within the limits.
    private mutating func makeRoom() {
        while entries.count > limits.nodes || bytes > limits.bytes, let first = silent.removeFirst() {
            guard let entry = entries[first.name], entry.silentAt == first.time else { continue }
            if entry.record.lastSeen > first.time {
                queueSilent(first.name, at: entry.record.lastSeen)
            } else {
                remove(first.name)
                leftOut.nodes += 1
            }
        }
    }

    private mutating func remove(_ node: String) {
        if let entry = entries.remove(node) { bytes -= entry.record.bytes }
    }

    // MARK: Queues

    /// How many places are taken in the queues.
    var queued: Int { silent.count + deadlines.count }

    private mutating func queueSilent(_ node: String, at time: Timestamp) {
        guard let entry = entries[node] else { return }
        entries.update(node, default: entry) { $0.silentAt = time }
        silent.insert(node, at: time)
        guard silent.count > 2 * entries.count + 64 else { return }
        // Most are of nodes that were forgotten.
        silent.removeAll()
        for (name, entry) in entries.all { silent.insert(name, at: entry.silentAt) }
    }

    /// Sees to it that a node is looked at when it becomes unreachable or silent.
    private mutating func queueDeadline(of node: String) {
        guard let entry = entries[node], let deadline = entry.record.deadline, deadline > now else { return }
        // One that is in there too early is corrected when its time has come.
        if let wakesAt = entry.wakesAt, wakesAt <= deadline { return }
        entries.update(node, default: entry) { $0.wakesAt = deadline }
        deadlines.insert(node, at: deadline)
        guard deadlines.count > 2 * entries.count + 64 else { return }
        deadlines.removeAll()
        for (name, entry) in entries.all { if let time = entry.wakesAt { deadlines.insert(name, at: time) } }
    }

    // MARK: Time

    /// Moves the time; backwards it does not go.
    ///
    /// - Returns: The nodes that have become unreachable or silent since the last call, in no order.
    @discardableResult
    public mutating func advance(to time: Timestamp) -> [Change] {
        let before = now
        guard time > before else { return [] }
        now = time
        var changes: [Change] = []
        while let first = deadlines.first, first.time <= time {
            _ = deadlines.removeFirst()
            guard let entry = entries[first.name], entry.wakesAt == first.time else { continue }
            entries.update(first.name, default: entry) { $0.wakesAt = nil }
            guard let deadline = entry.record.deadline, deadline > before else { continue }
            if deadline > time {
                queueDeadline(of: first.name)
            } else {
                let isUncertain = entry.record.status(at: time) == .unreachable && entry.record.hasTools
                changes.append(Change(node: first.name, kinds: isUncertain ? [.status, .tool] : .status))
            }
        }
        return changes
    }

    /// When the next node becomes unreachable or silent if nothing more is heard; `nil` when none does.
    public var nextDeadline: Timestamp? {
        entries.all.lazy.compactMap(\.value.record.deadline).filter { $0 > now }.min()
    }

    /// When ``advance(to:)`` may find such a node, at the earliest; `nil` when it finds none.
    var nextWakeUp: Timestamp? { deadlines.first?.time }

    /// Forgets the nodes that left or of which nothing is heard any more and that were last heard of before `time`, and the
    /// tools that were removed before it.
    ///
    /// An event about something forgotten that is applied again makes it known again.
    public mutating func forget(olderThan time: Timestamp) {
        for (name, entry) in entries.all {
            let status = entry.record.status(at: now)
            if entry.record.lastSeen < time, status == .left || status == .unreachable || status == .silent {
                remove(name)
            } else if entry.record.hasRemovedTools {
                let difference = entries.update(name, default: entry) { entry in
                    let before = entry.record.bytes
                    entry.record.forgetTools(removedBefore: time)
                    return entry.record.bytes - before
                }
                bytes += difference
            }
        }
    }

    // MARK: Questions

    /// Every node, by name.
    public var nodes: [Node] {
        entries.all.map { $0.value.record.view($0.name, at: now) }.sorted { $0.name < $1.name }
    }

    /// The names of the nodes, in no order: for those that look at one after the other, not at all at once.
    package var nodeNames: [String] { entries.all.map { $0.name } }

    /// The node of this name; `nil` when nothing is known of it.
    public func node(_ name: String) -> Node? { entries[name]?.record.view(name, at: now) }

    /// What is known of a node at a time: equal ones look alike. To compare them costs little while nothing has changed.
    package struct NodeVersion: Sendable, Equatable {
        fileprivate let record: NodeRecord
        fileprivate let status: Node.Status
    }

    /// What is known of the node of this name; `nil` when nothing is.
    package func version(of name: String) -> NodeVersion? {
        entries[name].map { NodeVersion(record: $0.record, status: $0.record.status(at: now)) }
    }

    /// The tools of a node by name, removed ones included; none when nothing is known of it.
    public func tools(on node: String) -> [Tool] { self.node(node)?.tools ?? [] }

    /// One tool; `nil` when nothing is known of it.
    public func tool(_ name: String, on node: String) -> Tool? { entries[node]?.record.tool(name, of: node, at: now) }

    /// How many there are of each.
    public var summary: Summary { Summary(nodes) }

    /// What is known of one node, as a state of its own.
    public func restricted(to node: String) -> MeshState {
        var state = MeshState(limits: limits)
        (state.now, state.leftOut) = (now, leftOut)
        guard let entry = entries[node] else { return state }
        state.entries.update(node, default: entry) { $0.wakesAt = nil }
        state.bytes = entry.record.bytes
        state.queueSilent(node, at: entry.record.lastSeen)
        state.queueDeadline(of: node)
        return state
    }

    /// Whether nothing is known.
    public var isEmpty: Bool { entries.isEmpty }
}

extension MeshState: Equatable {
    /// Whether the same is known, whatever the order in which it became so.
    public static func == (left: MeshState, right: MeshState) -> Bool {
        left.now == right.now && left.limits == right.limits && left.leftOut == right.leftOut
            && left.entries == right.entries
    }
}

extension MeshState.LeftOut {
    fileprivate mutating func add(_ other: MeshState.LeftOut) {
        nodes += other.nodes
        tools += other.tools
        values += other.values
    }
}

extension NodeRecord {
    /// Takes in what was said, and compares before and after.
    fileprivate mutating func change(
        by fact: LifecycleFact,
        at stamp: Stamp,
        received: Timestamp,
        now: Timestamp,
        node: String,
        limits: MeshState.Limits
    ) -> (MeshState.Change, MeshState.LeftOut) {
        var change = MeshState.Change(node: node, kinds: [])
        if !fact.toolName.isEmpty { change.tool = fact.toolName }
        let statusBefore = status(at: now)
        let checksBefore = statusBefore == .degraded ? failingChecks : [:]
        let endingBefore = endingStamp
        let toolBefore = change.tool.flatMap { tool($0, of: node, at: now) }
        saw(at: received)
        let outcome = apply(fact, at: stamp, limits: limits)
        change.kinds = outcome.kinds
        let statusAfter = status(at: now)
        if statusAfter != statusBefore || statusAfter == .degraded && failingChecks != checksBefore {
            change.kinds.insert(.status)
        }
        // What concerns all tools is not looked for in each of them: there may be many.
        let becameUncertain = (statusAfter == .unreachable) != (statusBefore == .unreachable)
        if becameUncertain && hasTools || endingStamp != endingBefore && hasActiveTools { change.kinds.insert(.tool) }
        if let name = change.tool {
            if tool(name, of: node, at: now) != toolBefore { change.kinds.insert(.tool) } else { change.tool = nil }
        }
        return (change, outcome.leftOut)
    }
}
