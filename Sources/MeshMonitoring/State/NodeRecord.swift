import MeshEvents

/// What is known of a node: the newest fact of each kind. The order in which facts arrive makes no difference, as long
/// as no limit is reached.
///
/// The cost of an event does not depend on the number of tools; that of a health event is that of the tools in its list.
struct NodeRecord: Sendable, Equatable {
    struct Health: Sendable, Equatable {
        var status: String
        var resources: EventData
    }

    /// The effect of a fact.
    struct Outcome {
        /// Which parts of the node changed; the caller finds out whether the status did.
        var kinds: MeshState.Change.Kinds = []
        /// What the record did not keep.
        var leftOut = MeshState.LeftOut()
        /// The tools that were removed because the node no longer lists them.
        var missingTools: [String] = []
    }

    /// The approximate size of a record without its texts, in bytes.
    private static let ownBytes = 1_024
    /// How many shards a large table of tools has.
    private static let shards = 64
    /// The longest instance, in characters; longer ones are cut, as by `NameWatch`.
    static let instanceLength = 64
    /// The shortest interval that a node can claim, in seconds: no `MeshNode` has a shorter one.
    private static let shortestClaimed = 0.1

    /// The interval of a node that does not publish one, in seconds.
    static let defaultInterval = 10.0
    /// The longest interval that is derived from two health events, in seconds.
    private static let longestObserved = 3_600.0
    /// The longest interval that a node can claim, in seconds.
    private static let longestClaimed = 86_400.0

    /// When its last event arrived; ``Timestamp/epoch`` before the first.
    private(set) var lastSeen = Timestamp.epoch
    /// Whether an event of it is known that is newer than the report to forget it.
    private(set) var isKnown = false
    private(set) var joined: Stamp?
    private(set) var left: Fact<String>?
    /// The time of the newest event that only a node in the mesh emits.
    private(set) var present: Stamp?
    private(set) var health: Fact<Health>?
    private(set) var healthBefore: Stamp?
    private(set) var capabilities: Fact<EventData>?
    private(set) var claimedInterval: Fact<Double>?
    private(set) var incarnation: Incarnation?
    private(set) var reports = NodeReports()
    private(set) var tools = ShardedTable<ToolRecord>(width: shards)
    /// The tools that were removed, with the time of removal.
    private var removedTools = ShardedTable<Timestamp>(width: shards)
    /// The tools that were not removed.
    private var presentTools = ShardedTable<Bool>(width: shards)
    /// The time of the newest complete list of tools. A tool of which only older facts are known was removed.
    private(set) var complete: Stamp?
    /// How many tools run, are to run or have failed, by their newest fact.
    private var activeTools = 0
    /// The approximate size of the tools, in bytes.
    private var toolBytes = 0

    /// Creates the record of a node of which nothing is known.
    init() {}

    /// Creates a record from facts.
    init(
        lastSeen: Timestamp,
        isKnown: Bool,
        joined: Stamp?,
        left: Fact<String>?,
        present: Stamp?,
        health: Fact<Health>?,
        healthBefore: Stamp?,
        capabilities: Fact<EventData>?,
        claimedInterval: Fact<Double>?,
        incarnation: Incarnation?,
        complete: Stamp?,
        reports: NodeReports,
        tools: [(name: String, record: ToolRecord)]
    ) {
        self.lastSeen = lastSeen
        self.isKnown = isKnown
        self.joined = joined
        self.left = left
        self.present = present
        self.health = health
        self.healthBefore = healthBefore
        self.capabilities = capabilities
        self.claimedInterval = claimedInterval
        self.incarnation = incarnation
        self.complete = complete
        self.reports = reports
        for (name, record) in tools where !record.isEmpty { change(name) { $0 = record } }
    }

    /// The approximate size of the record, in bytes.
    var bytes: Int {
        Self.ownBytes + toolBytes + reports.bytes + (left?.value.utf8.count ?? 0)
            + (capabilities?.value.json.utf8.count ?? 0)
            + (health.map { $0.value.status.utf8.count + $0.value.resources.json.utf8.count } ?? 0)
    }

    // MARK: Facts

    mutating func saw(at time: Timestamp) {
        lastSeen = max(lastSeen, time)
        isKnown = true
    }

    /// Whether an event is from before the report to forget the node.
    func isForgotten(_ event: Stamp) -> Bool { reports.forgotten.map { event.isBefore($0) } ?? false }

    /// Takes in a fact.
    mutating func apply(_ fact: LifecycleFact, at stamp: Stamp, limits: MeshState.Limits) -> Outcome {
        if fact.showsPresence { present = Stamp.latest(present, stamp) }
        var outcome = Outcome()
        var cutter = ValueCutter(limits)
        switch fact {
        case .health(let status, let resources, let tools):
            learnIdentity(resources, at: stamp, isJoin: false)
            let health = Health(status: cutter.cut(status), resources: cutter.cut(resources))
            if learn(health, at: stamp) { outcome.kinds = .resources }
            if let tools { apply(tools, at: stamp, limits: limits, &cutter, &outcome) }
        case .joined(let data):
            learnIdentity(data, at: stamp, isJoin: true)
            if joined.map({ $0 < stamp }) ?? true {
                joined = stamp
                outcome.kinds.insert(.joined)
            }
            // A reconnecting node of the Go mesh sends no capabilities; the known ones stay.
            let before = capabilities?.value
            let kept = cutter.cut(data)
            if !data.isNull, Fact.learn(&capabilities, kept, at: stamp), kept != before {
                outcome.kinds.insert(.capabilities)
            }
        case .left(let reason):
            Fact.learn(&left, cutter.cut(reason), at: stamp)
        case .tool(let name, let event):
            guard !name.isEmpty else { break }
            let event = cutter.cut(event)
            if makeRoom(for: name, limits, &outcome) { change(name) { $0.apply(event, at: stamp) } }
        case .report(var report):
            if case .maintenance(let duration, let reason) = report {
                report = .maintenance(duration, reason: cutter.cut(reason))
            }
            reports.apply(report, at: stamp)
            if report == .forgotten, reports.forgotten == stamp { drop(before: stamp) }
        }
        if cutter.hasCut { outcome.leftOut.values = 1 }
        return outcome
    }

    /// Takes in a list of the node's tools.
    private mutating func apply(
        _ list: ToolList,
        at stamp: Stamp,
        limits: MeshState.Limits,
        _ cutter: inout ValueCutter,
        _ outcome: inout Outcome
    ) {
        outcome.leftOut.tools += UInt64(list.unread)
        if list.hasLongNames { outcome.leftOut.values = 1 }
        var listed = 0
        var new: [(name: String, listing: ToolListing)] = []
        for (name, listing) in list.tools {
            let listing = cutter.cut(listing)
            guard tools[name] != nil else {
                new.append((name, listing))
                continue
            }
            change(name) { $0.apply(listing, at: stamp) }
            if presentTools[name] != nil { listed += 1 }
        }
        // Before the new ones: what is no longer there makes room for them.
        if list.isComplete { outcome.missingTools = learnComplete(at: stamp, listed: listed) }
        for (name, listing) in new where makeRoom(for: name, limits, &outcome) {
            change(name) { $0.apply(listing, at: stamp) }
        }
    }

    /// Takes in that a list was complete.
    ///
    /// - Parameter listed: how many of the tools that were not removed are in it.
    /// - Returns: The tools that were removed because they are not in it.
    private mutating func learnComplete(at stamp: Stamp, listed: Int) -> [String] {
        let before = complete
        guard before.map({ $0 < stamp }) ?? true else { return [] }
        complete = stamp
        // Only a tool that is not in the list costs more.
        guard presentTools.count > listed else { return [] }
        var missing: [String] = []
        for (name, _) in presentTools.all {
            guard let tool = tools[name] else { continue }
            // An earlier run may no longer count of a tool that was installed again after this list.
            activeTools += (tool.isActive(stamp) ? 1 : 0) - (tool.isActive(before) ? 1 : 0)
            guard let removal = tool.removal(stamp) else { continue }
            mark(name, removed: removal)
            missing.append(name)
        }
        return missing
    }

    /// Makes room for a tool of this name, unless it is known.
    ///
    /// - Returns: Whether there is room.
    private mutating func makeRoom(for name: String, _ limits: MeshState.Limits, _ outcome: inout Outcome) -> Bool {
        guard tools.count >= limits.toolsPerNode, tools[name] == nil else { return true }
        outcome.leftOut.tools += 1
        guard let removed = removedTools.anyName else { return false }
        forgetTool(removed)
        return true
    }

    /// Changes a tool, and what is counted of it.
    private mutating func change(_ name: String, _ body: (inout ToolRecord) -> Void) {
        let complete = complete
        let (before, after, removal) = tools.update(name, default: ToolRecord()) { tool in
            let before = tool.isEmpty ? (false, 0) : (tool.isActive(complete), tool.bytes(name))
            body(&tool)
            return (before, (tool.isActive(complete), tool.bytes(name)), tool.removal(complete))
        }
        activeTools += (after.0 ? 1 : 0) - (before.0 ? 1 : 0)
        toolBytes += after.1 - before.1
        mark(name, removed: removal)
    }

    private mutating func mark(_ name: String, removed: Timestamp?) {
        if let removed {
            removedTools.update(name, default: removed) { $0 = removed }
            presentTools.remove(name)
        } else {
            removedTools.remove(name)
            if presentTools[name] == nil { presentTools.update(name, default: true) { $0 = true } }
        }
    }

    private mutating func forgetTool(_ name: String) {
        removedTools.remove(name)
        presentTools.remove(name)
        guard let tool = tools.remove(name) else { return }
        toolBytes -= tool.bytes(name)
        if tool.isActive(complete) { activeTools -= 1 }
    }

    private mutating func learn(_ new: Health, at stamp: Stamp) -> Bool {
        if let known = health?.stamp, stamp != known {
            healthBefore = Stamp.latest(healthBefore, min(stamp, known))
        }
        let isNew = health.map { $0.stamp < stamp } ?? true
        Fact.learn(&health, new, at: stamp)
        return isNew
    }

    /// An interval that a node claims, in seconds; `nil` for one that does not count.
    static func interval(claimed seconds: Double) -> Double? {
        seconds > 0 && seconds <= longestClaimed ? max(seconds, shortestClaimed) : nil
    }

    private mutating func learnIdentity(_ data: EventData, at stamp: Stamp, isJoin: Bool) {
        guard !data.isNull else { return }
        if let seconds = data["interval_s"]?.double.flatMap({ Self.interval(claimed: $0) }) {
            Fact.learn(&claimedInterval, seconds, at: stamp)
        }
        if let instance = data["instance"]?.string, !instance.isEmpty {
            let instance = String(instance.prefix(Self.instanceLength))
            Incarnation.learn(&incarnation, instance, at: stamp, isJoin: isJoin)
        }
    }

    /// Drops what is known from before a report.
    private mutating func drop(before report: Stamp) {
        joined = joined?.after(report)
        left = left?.after(report)
        present = present?.after(report)
        health = health?.after(report)
        healthBefore = healthBefore?.after(report)
        capabilities = capabilities?.after(report)
        claimedInterval = claimedInterval?.after(report)
        incarnation = incarnation?.after(report)
        let former = tools.all
        for (name, _) in former { forgetTool(name) }
        complete = complete?.after(report)
        for (name, var tool) in former {
            tool.drop(before: report)
            if !tool.isEmpty { change(name) { $0 = tool } }
        }
        guard lastSeen <= report.at else { return }
        (isKnown, lastSeen) = (false, .epoch)
    }

    /// Takes in what is known elsewhere.
    ///
    /// - Returns: What the record did not keep.
    mutating func merge(_ other: NodeRecord, limits: MeshState.Limits) -> MeshState.LeftOut {
        var (other, outcome) = (other, Outcome())
        if let forgotten = Stamp.latest(reports.forgotten, other.reports.forgotten) {
            drop(before: forgotten)
            other.drop(before: forgotten)
        }
        lastSeen = max(lastSeen, other.lastSeen)
        isKnown = isKnown || other.isKnown
        joined = Stamp.latest(joined, other.joined)
        Fact.merge(&left, other.left)
        present = Stamp.latest(present, other.present)
        healthBefore = Self.secondNewest([health?.stamp, healthBefore, other.health?.stamp, other.healthBefore])
        Fact.merge(&health, other.health)
        Fact.merge(&capabilities, other.capabilities)
        Fact.merge(&claimedInterval, other.claimedInterval)
        Incarnation.merge(&incarnation, other.incarnation)
        reports.merge(other.reports)
        if let complete = other.complete { _ = learnComplete(at: complete, listed: 0) }
        for (name, tool) in other.tools.all where makeRoom(for: name, limits, &outcome) {
            change(name) { $0.merge(tool) }
        }
        return outcome.leftOut
    }

    /// The second newest of several times.
    private static func secondNewest(_ stamps: [Stamp?]) -> Stamp? {
        let stamps = Set(stamps.compactMap(\.self)).sorted()
        return stamps.dropLast().last
    }

    /// Drops the tools that were removed before `time`.
    mutating func forgetTools(removedBefore time: Timestamp) {
        for (name, removal) in removedTools.all where removal < time { forgetTool(name) }
    }

    // MARK: Queries

    /// When something was last learned of it.
    var lastTouched: Timestamp { max(lastSeen, reports.newest?.at ?? .epoch) }

    /// Whether there is something to say of it: it was heard of, or announced as unreachable.
    var isVisible: Bool { isKnown || reports.open != nil }

    /// Whether it has tools that were not removed.
    var hasTools: Bool { !presentTools.isEmpty }

    /// Whether it has tools that were removed.
    var hasRemovedTools: Bool { !removedTools.isEmpty }

    /// Whether it has tools that run, are to run or have failed: the node's leaving or restart would stop them.
    var hasActiveTools: Bool { activeTools > 0 }

    /// When all its tools last ended because the node left or was started anew.
    var endingStamp: Stamp? { ending?.stamp }

    /// The time between its health events, in seconds.
    var interval: Double {
        if let claimedInterval { return claimedInterval.value }
        guard let newest = health?.stamp, let healthBefore else { return Self.defaultInterval }
        let observed = newest.at.duration(since: healthBefore.at) / .seconds(1)
        return min(max(observed, Self.defaultInterval), Self.longestObserved)
    }

    /// Whether it sends health events, or has published an interval for them.
    private var sendsHealth: Bool { health != nil || claimedInterval != nil }

    /// When it becomes unreachable, or silent if it never sends health, without further events; `nil` when it has left.
    var deadline: Timestamp? {
        guard !hasLeft else { return nil }
        guard sendsHealth else { return lastSeen.adding(MeshState.silence) }
        return lastSeen.adding(.seconds(interval * Double(MeshState.missedIntervals)))
    }

    var hasLeft: Bool {
        guard let left else { return false }
        return present.map { $0 <= left.stamp } ?? true
    }

    /// Whether a keeper has announced that it is unreachable, and it was not heard of since.
    var isAnnounced: Bool { reports.open.map { lastSeen <= $0.stamp.at } ?? false }

    func status(at now: Timestamp) -> MeshState.Node.Status {
        if hasLeft { return .left }
        if isAnnounced { return .unreachable }
        if let deadline, now >= deadline { return sendsHealth ? .unreachable : .silent }
        return reportedStatus.map { $0.isEmpty || $0 == "online" } ?? true ? .online : .degraded
    }

    /// The status in its newest health event; `nil` when it has sent none since it was started.
    private var reportedStatus: String? {
        guard let health else { return nil }
        if let left, health.stamp < left.stamp { return nil }
        if let start = incarnation?.cutoff, health.stamp < start { return nil }
        return health.value.status
    }

    /// The failing checks in its newest health event, by name, with the reason.
    var failingChecks: [String: String] {
        guard reportedStatus != nil, let members = health?.value.resources["checks"]?.members else { return [:] }
        let pairs = members.map { ($0.key, $0.value.string ?? $0.value.value.description) }
        return Dictionary(pairs) { $1 }
    }

    /// When and why all its tools last ended: the node left, or was started anew.
    private var ending: (stamp: Stamp, reason: String)? {
        let start = incarnation?.cutoff
        if let left, start.map({ $0 < left.stamp }) ?? true { return (left.stamp, "the node left") }
        return start.map { ($0, "the node was started anew") }
    }

    func view(_ name: String, at now: Timestamp) -> MeshState.Node {
        let status = status(at: now)
        let maintenance = reports.maintenance(at: now)
        return MeshState.Node(
            name: name,
            status: status,
            reportedStatus: reportedStatus.flatMap { $0.isEmpty ? nil : $0 },
            failingChecks: failingChecks,
            joinedAt: joined?.at,
            lastSeen: isKnown ? lastSeen : reports.open.map { $0.value.lastSeen ?? $0.stamp.at } ?? .epoch,
            leftAt: status == .left ? left?.stamp.at : nil,
            leaveReason: status == .left ? left?.value : nil,
            unreachableSince: status == .unreachable ? unreachableSince(now) : nil,
            maintenanceUntil: maintenance?.until,
            maintenanceReason: maintenance?.reason,
            healthInterval: .seconds(interval),
            sendsHealth: sendsHealth,
            capabilities: capabilities?.value ?? .null,
            resources: health?.value.resources ?? .null,
            toolViews: MeshState.ToolViews(
                tools: tools,
                node: name,
                complete: complete,
                ending: ending.map { .init(stamp: $0.stamp, reason: $0.reason) },
                isUncertain: status == .unreachable
            )
        )
    }

    /// When it became unreachable; by its own interval, unless a keeper knew it better.
    private func unreachableSince(_ now: Timestamp) -> Timestamp? {
        if let deadline, deadline <= now { return deadline }
        return reports.open?.stamp.at
    }

    func tool(_ tool: String, of node: String, at now: Timestamp) -> MeshState.Tool? {
        tools[tool]?.view(
            tool,
            node: node,
            complete: complete,
            ending: ending,
            isUncertain: status(at: now) == .unreachable
        )
    }
}
