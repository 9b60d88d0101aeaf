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
///   A node that never sends health, as those of the Go mesh, never becomes unreachable.
/// - **A node that left** has no tools that run: they show as stopped. So do those of a node that was started anew, which
///   is known by another `instance` in its `node.joined`. Tools of an unreachable node keep their last state and are
///   marked ``Tool/isUncertain``.
/// - `node.joined` without capabilities, as nodes of the Go mesh send it when they reconnect, leaves those known.
///
/// What it costs to apply an event does not depend on how many nodes there are. It remembers a bounded amount per node and
/// tool, and every node and tool until ``forget(olderThan:)``.
public struct MeshState: Sendable, Equatable {
    /// After how many health intervals of silence a node is unreachable.
    public static let missedIntervals = 3

    private var records: [String: NodeRecord] = [:]
    /// The time at which questions are answered; ``advance(to:)`` moves it.
    public private(set) var now = Timestamp.epoch

    /// Creates the state of a mesh of which nothing is known.
    public init() {}

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
        let received = receivedAt ?? event.timestamp
        let stamp = Stamp(at: min(event.timestamp, received), sequence: sequence)
        let isKnown = records[event.node] != nil
        // In place: neither the record nor the table is copied.
        var change = records[event.node, default: NodeRecord(lastSeen: received)]
            .change(by: fact, at: stamp, received: received, now: now, node: event.node)
        if !isKnown { change.kinds.insert(.status) }
        return change.kinds.isEmpty ? nil : change
    }

    // MARK: Time

    /// Moves the time; backwards it does not go.
    ///
    /// - Returns: The nodes that have become unreachable since the last call, in no order.
    @discardableResult
    public mutating func advance(to time: Timestamp) -> [Change] {
        let before = now
        guard time > before else { return [] }
        now = time
        return records.compactMap { name, record in
            guard let deadline = record.deadline, deadline > before, deadline <= time else { return nil }
            return Change(node: name, kinds: record.hasTools ? [.status, .tool] : .status)
        }
    }

    /// When the next node becomes unreachable if nothing more is heard; `nil` when none does.
    public var nextDeadline: Timestamp? {
        records.values.lazy.compactMap(\.deadline).filter { $0 > now }.min()
    }

    /// When this node becomes unreachable if nothing more is heard; `nil` when it does not.
    func deadline(of node: String) -> Timestamp? { records[node]?.deadline }

    /// Forgets the nodes that left or are unreachable and were last heard of before `time`, and the tools that were removed
    /// before it.
    ///
    /// An event about something forgotten that is applied again makes it known again.
    public mutating func forget(olderThan time: Timestamp) {
        for (name, record) in records {
            let status = record.status(at: now)
            if record.lastSeen < time, status == .left || status == .unreachable {
                records[name] = nil
            } else if record.tools.values.contains(where: { $0.removal.map { $0 < time } ?? false }) {
                records[name]?.forgetTools(removedBefore: time)
            }
        }
    }

    // MARK: Questions

    /// Every node, by name.
    public var nodes: [Node] {
        records.map { $1.view($0, at: now) }.sorted { $0.name < $1.name }
    }

    /// The names of the nodes, in no order: for those that look at one after the other, not at all at once.
    package var nodeNames: [String] { Array(records.keys) }

    /// The node of this name; `nil` when nothing is known of it.
    public func node(_ name: String) -> Node? { records[name]?.view(name, at: now) }

    /// The tools of a node by name, removed ones included; none when nothing is known of it.
    public func tools(on node: String) -> [Tool] { self.node(node)?.tools ?? [] }

    /// One tool; `nil` when nothing is known of it.
    public func tool(_ name: String, on node: String) -> Tool? { records[node]?.tool(name, of: node, at: now) }

    /// How many there are of each.
    public var summary: Summary { Summary(nodes) }

    /// What is known of one node, as a state of its own.
    public func restricted(to node: String) -> MeshState {
        var state = self
        state.records = records.filter { $0.key == node }
        return state
    }

    /// Whether nothing is known.
    public var isEmpty: Bool { records.isEmpty }
}

extension NodeRecord {
    /// Takes in what was said, and compares before and after.
    fileprivate mutating func change(
        by fact: LifecycleFact,
        at stamp: Stamp,
        received: Timestamp,
        now: Timestamp,
        node: String
    ) -> MeshState.Change {
        var change = MeshState.Change(node: node, kinds: [])
        if case .tool(let name, _) = fact, !name.isEmpty { change.tool = name }
        let statusBefore = status(at: now)
        let checksBefore = statusBefore == .degraded ? failingChecks : [:]
        // Only one tool, or none, unless the node comes or goes.
        let concernsAll = fact.isComingOrGoing || statusBefore == .unreachable
        let toolBefore = change.tool.flatMap { tool($0, of: node, at: now) }
        let toolsBefore = concernsAll ? toolViews(node, statusBefore) : []
        saw(at: received)
        change.kinds = apply(fact, at: stamp)
        let statusAfter = status(at: now)
        if statusAfter != statusBefore || statusAfter == .degraded && failingChecks != checksBefore {
            change.kinds.insert(.status)
        }
        if concernsAll, toolViews(node, statusAfter) != toolsBefore { change.kinds.insert(.tool) }
        if let name = change.tool {
            if tool(name, of: node, at: now) != toolBefore { change.kinds.insert(.tool) } else { change.tool = nil }
        }
        return change
    }
}
