public import MeshEvents

/// The mesh as its events describe it: its nodes, their status, and their tools. A pure value: apply events, move the
/// time, read.
///
/// ```swift
/// var state = MeshState()
/// for stored in try await persistent.history(matching: .allNodes) { state.apply(stored) }
/// state.advance(to: .now)
/// for node in state.nodes { print(node.name, node.status) }
/// ```
///
/// - **Order makes no difference.** Each fact about a node has the time of its event; an older fact never replaces a
///   newer one. A time later than the event's arrival counts as the arrival, so that a clock that is ahead, and is set
///   right later, does no harm. The stream's sequence decides between equal times; without one, the order of arrival.
/// - **Repeats change nothing.** Missing events only leave something unknown: an event about an unknown node or tool
///   creates it. An event without a node is ignored.
/// - **Unreachable** is a node from which no event arrived for three of its health intervals, counted from the arrival
///   of its last event, so that its own clock does not matter. The interval is the newest `interval_s` (seconds) in its
///   capabilities or resources; without one, the time between its last two health events, from 10 s to an hour; else
///   10 s. A node that never sends health, as those of the Go mesh, never becomes unreachable. After ``silence`` it is
///   silent, which says only that no event arrived; its tools keep their last state.
/// - **A node that left** has no running tools: they show as stopped. So do the tools of a node that was started anew,
///   which is known by another `instance` in its `node.joined`. Tools of an unreachable node keep their last state and
///   are marked ``Tool/isUncertain``.
/// - `node.joined` without capabilities, as nodes of the Go mesh send it when they reconnect, keeps the known ones.
/// - **A health event lists the node's tools**, each with its state, version, restarts and last error. These are facts
///   with the time of that event: of a tool's events and the list, the newer one decides. A tool that a complete list
///   does not name was removed, unless a newer fact is known of it. So after events were lost, or dropped by the
///   stream's limits, the next health event sets the tools right.
///
/// - **Others may report on a node**: a keeper that it is unreachable or back (`node.unreachable`, `node.recovered`), a
///   person that it is to be forgotten or in maintenance (`node.forgotten`, `node.maintenance`). A report has the time
///   at which it was stored. A node that was forgotten is unknown until its next event.
///
/// The cost of applying an event depends neither on the number of nodes nor on the number of a node's tools; that of a
/// health event grows with the tools in its list, of which at most 200 are read. ``Limits`` bounds what the state keeps,
/// in numbers and in bytes, whatever other clients emit; ``leftOut`` counts what was dropped. Once a limit is reached,
/// the order of events does make a difference.
public struct MeshState: Sendable {
    /// After how many health intervals without an event a node is unreachable.
    public static let missedIntervals = 3
    /// After how long a node that never sends health is silent: five minutes.
    public static let silence: Duration = .seconds(300)

    /// How many shards a large table of nodes has.
    private static let shards = 256

    /// A node, and its times in the queues.
    private struct Entry: Sendable, Equatable {
        var record: NodeRecord
        /// Its time in ``silent``.
        var silentAt: Timestamp
        /// Its time in ``deadlines``; `nil` when it is not in there.
        var wakesAt: Timestamp?

        /// Compares the records only: the times in the queues depend on the order of events.
        static func == (left: Entry, right: Entry) -> Bool { left.record == right.record }
    }

    /// How much the state keeps.
    public let limits: Limits
    /// What the state did not keep.
    public internal(set) var leftOut = LeftOut()
    private var entries = ShardedTable<Entry>(width: shards)
    /// The approximate size of the nodes, in bytes.
    private(set) var bytes = 0
    /// Every node, by the time of its last event or an earlier time.
    private var silent = TimeQueue<String>()
    /// The nodes that become unreachable or silent after ``now``, by that time or an earlier one.
    private var deadlines = TimeQueue<String>()
    /// The time that status and deadlines refer to; ``advance(to:)`` moves it.
    public private(set) var now = Timestamp.epoch

    /// Creates the state of a mesh without known nodes.
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
        guard let fact = LifecycleFact(event) else { return nil }
        let node = event.affectedNode
        guard !node.isEmpty else { return nil }
        guard node.utf8.count <= Limits.nameBytes, fact.toolName.utf8.count <= Limits.nameBytes else {
            leftOut.values += 1
            return nil
        }
        let received = receivedAt ?? event.timestamp
        if case .report(let report) = fact {
            return apply(.report(report), of: node, at: Stamp(at: received, sequence: sequence), received: received)
        }
        let stamp = Stamp(at: min(event.timestamp, received), sequence: sequence)
        return apply(fact, of: node, at: stamp, received: received)
    }

    private mutating func apply(
        _ fact: LifecycleFact,
        of node: String,
        at stamp: Stamp,
        received: Timestamp
    ) -> Change? {
        let (now, limits) = (now, limits)
        let change = change(node, heardAt: received) { record in
            record.change(by: fact, at: stamp, received: received, now: now, node: node, limits: limits)
        }
        guard entries[node] != nil else { return nil }
        return change.kinds.isEmpty ? nil : change
    }

    /// Changes what is known of a node, in place, so that neither the record nor the table is copied.
    ///
    /// - Parameter time: when something was learned of it; counts for a node without a record.
    private mutating func change<Result>(
        _ node: String,
        heardAt time: Timestamp,
        _ body: (inout NodeRecord) -> (result: Result, leftOut: LeftOut)
    ) -> Result {
        let count = entries.count
        let initial = Entry(record: NodeRecord(), silentAt: time)
        let (before, after, outcome) = entries.update(node, default: initial) { entry in
            let before = entry.record.bytes
            let outcome = body(&entry.record)
            return (before, entry.record.bytes, outcome)
        }
        let isNew = entries.count > count
        bytes += after - (isNew ? 0 : before)
        leftOut.add(outcome.leftOut)
        if isNew { queueSilent(node, at: time) }
        queueDeadline(of: node)
        makeRoom()
        return outcome.result
    }

    // MARK: Snapshots

    /// Takes in what is known of a node elsewhere.
    mutating func apply(_ snapshot: NodeSnapshot) {
        let limits = limits
        change(snapshot.name, heardAt: snapshot.record.lastTouched) { record in
            ((), record.merge(snapshot.record, limits: limits))
        }
    }

    /// The names of all nodes with a record, in no order, of those too that are to be forgotten.
    var recordedNames: [String] { entries.all.map(\.name) }

    /// The record of a node, of one that is to be forgotten too.
    func entry(_ node: String) -> NodeRecord? { entries[node]?.record }

    /// Drops the nodes whose last event is oldest until the rest is within the limits.
    private mutating func makeRoom() {
        while entries.count > limits.nodes || bytes > limits.bytes, let first = silent.removeFirst() {
            guard let entry = entries[first.name], entry.silentAt == first.time else { continue }
            if entry.record.lastTouched > first.time {
                queueSilent(first.name, at: entry.record.lastTouched)
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

    /// How many entries the queues have.
    var queued: Int { silent.count + deadlines.count }

    private mutating func queueSilent(_ node: String, at time: Timestamp) {
        guard let entry = entries[node] else { return }
        entries.update(node, default: entry) { $0.silentAt = time }
        silent.insert(node, at: time)
        guard silent.count > 2 * entries.count + 64 else { return }
        // Most entries are of forgotten nodes.
        silent.removeAll()
        for (name, entry) in entries.all { silent.insert(name, at: entry.silentAt) }
    }

    /// Queues a node so that ``advance(to:)`` checks it when it becomes unreachable or silent.
    private mutating func queueDeadline(of node: String) {
        guard let entry = entries[node], let deadline = entry.record.deadline, deadline > now else { return }
        // An entry that is too early is corrected when its time comes.
        if let wakesAt = entry.wakesAt, wakesAt <= deadline { return }
        entries.update(node, default: entry) { $0.wakesAt = deadline }
        deadlines.insert(node, at: deadline)
        guard deadlines.count > 2 * entries.count + 64 else { return }
        deadlines.removeAll()
        for (name, entry) in entries.all { if let time = entry.wakesAt { deadlines.insert(name, at: time) } }
    }

    // MARK: Time

    /// Moves the time forward; an earlier time changes nothing.
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
            guard entry.record.isVisible, let deadline = entry.record.deadline, deadline > before else { continue }
            if deadline > time {
                queueDeadline(of: first.name)
            } else {
                let isUncertain = entry.record.status(at: time) == .unreachable && entry.record.hasTools
                changes.append(Change(node: first.name, kinds: isUncertain ? [.status, .tool] : .status))
            }
        }
        return changes
    }

    /// When the next node becomes unreachable or silent if no more events arrive; `nil` when none does.
    public var nextDeadline: Timestamp? {
        entries.all.lazy.filter(\.value.record.isVisible).compactMap(\.value.record.deadline).filter { $0 > now }.min()
    }

    /// The earliest time at which ``advance(to:)`` may find such a node; `nil` when it finds none.
    var nextWakeUp: Timestamp? { deadlines.first?.time }

    /// Forgets nodes that left or are unreachable or silent and whose last event arrived before `time`, and tools that
    /// were removed before it.
    ///
    /// An event about a forgotten node or tool creates it again.
    public mutating func forget(olderThan time: Timestamp) {
        for (name, entry) in entries.all {
            let status = entry.record.status(at: now)
            let isGone = status == .left || status == .unreachable || status == .silent || !entry.record.isVisible
            if entry.record.lastTouched < time, isGone {
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

    // MARK: Queries

    /// Every node, by name.
    public var nodes: [Node] {
        entries.all.lazy.filter(\.value.record.isVisible).map { $0.value.record.view($0.name, at: now) }
            .sorted { $0.name < $1.name }
    }

    /// The names of the nodes, in no order: for callers that read the nodes one by one.
    package var nodeNames: [String] { entries.all.lazy.filter(\.value.record.isVisible).map(\.name) }

    /// The node of this name; `nil` when nothing is known of it.
    public func node(_ name: String) -> Node? { record(name)?.view(name, at: now) }

    /// What is known of a node, unless it is to be forgotten.
    private func record(_ node: String) -> NodeRecord? {
        guard let record = entries[node]?.record, record.isVisible else { return nil }
        return record
    }

    /// What is known of a node at a time: equal versions give equal views. Comparing them is cheap while nothing has
    /// changed.
    package struct NodeVersion: Sendable, Equatable {
        fileprivate let record: NodeRecord
        fileprivate let status: Node.Status
    }

    /// What is known of the node of this name; `nil` when nothing is.
    package func version(of name: String) -> NodeVersion? {
        record(name).map { NodeVersion(record: $0, status: $0.status(at: now)) }
    }

    /// The tools of a node by name, removed ones included; none when nothing is known of it.
    public func tools(on node: String) -> [Tool] { self.node(node)?.tools ?? [] }

    /// One tool; `nil` when nothing is known of it.
    public func tool(_ name: String, on node: String) -> Tool? { record(node)?.tool(name, of: node, at: now) }

    /// The counts of nodes by status and tools by state.
    public var summary: Summary { Summary(nodes) }

    /// What is known of one node, as a state of its own.
    public func restricted(to node: String) -> MeshState {
        var state = MeshState(limits: limits)
        (state.now, state.leftOut) = (now, leftOut)
        guard let entry = entries[node] else { return state }
        state.entries.update(node, default: entry) { $0.wakesAt = nil }
        state.bytes = entry.record.bytes
        state.queueSilent(node, at: entry.record.lastTouched)
        state.queueDeadline(of: node)
        return state
    }

    /// Whether no node is known.
    public var isEmpty: Bool { !entries.all.contains { $0.value.record.isVisible } }
}

extension MeshState: Equatable {
    /// Whether both know the same, whatever the order of their events.
    public static func == (left: MeshState, right: MeshState) -> Bool {
        left.now == right.now && left.limits == right.limits && left.leftOut == right.leftOut
            && left.entries == right.entries
    }
}

extension MeshState.LeftOut {
    mutating func add(_ other: MeshState.LeftOut) {
        nodes += other.nodes
        tools += other.tools
        values += other.values
    }
}

extension NodeRecord {
    /// Applies the fact, and returns what differs before and after.
    fileprivate mutating func change(
        by fact: LifecycleFact,
        at stamp: Stamp,
        received: Timestamp,
        now: Timestamp,
        node: String,
        limits: MeshState.Limits
    ) -> (MeshState.Change, MeshState.LeftOut) {
        var change = MeshState.Change(node: node, kinds: [])
        if !fact.isReport, isForgotten(Stamp(at: received, sequence: stamp.sequence)) {
            return (change, MeshState.LeftOut())
        }
        let names = fact.toolNames
        let statusBefore = status(at: now)
        let checksBefore = statusBefore == .degraded ? failingChecks : [:]
        let endingBefore = endingStamp
        let toolsBefore = names.map { tool($0, of: node, at: now) }
        let wasVisible = isVisible
        if !fact.isReport { saw(at: received) }
        let outcome = apply(fact, at: stamp, limits: limits)
        change.kinds = outcome.kinds
        let statusAfter = status(at: now)
        if statusAfter != statusBefore || statusAfter == .degraded && failingChecks != checksBefore {
            change.kinds.insert(.status)
        }
        // A change that concerns all tools is found without looking at each of them: there may be many.
        let becameUncertain = (statusAfter == .unreachable) != (statusBefore == .unreachable)
        let concernsAll = becameUncertain && hasTools || endingStamp != endingBefore && hasActiveTools
        if concernsAll { change.kinds.insert(.tool) }
        var changed = outcome.missingTools
        for (name, before) in zip(names, toolsBefore)
        where !MeshState.Tool.isSame(before, tool(name, of: node, at: now)) {
            changed.append(name)
        }
        if !changed.isEmpty { change.kinds.insert(.tool) }
        if changed.count == 1, !concernsAll || !fact.toolName.isEmpty { change.tool = changed[0] }
        switch (wasVisible, isVisible) {
        case (true, true): break
        case (false, true): change.kinds.insert(.status)
        case (true, false): change.kinds = .forgotten
        case (false, false): change.kinds = []
        }
        return (change, outcome.leftOut)
    }
}
