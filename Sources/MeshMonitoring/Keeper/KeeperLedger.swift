import MeshEvents

/// What a keeper knows: the mesh, and what of it is saved. It decides what has to be written and announced; it does
/// neither itself.
struct KeeperLedger: Sendable {
    /// How long a node's entry may stay behind.
    struct Pace: Sendable {
        /// The shortest time between two writes of an entry.
        var shortest: Duration = .seconds(1)
        /// The longest time for which an entry may lack an event that says nothing new.
        var longest: Duration = .seconds(10)
    }

    /// What an entry lacks.
    private struct Lack: Sendable {
        /// The first sequence that it may lack.
        var sequence: UInt64
        var since: ContinuousClock.Instant
        /// Whether the node changed, not only the time of its last event.
        var isNews: Bool
    }

    /// An entry to be written, or deleted when nothing is known of the node any more.
    struct Write: Sendable {
        let node: String
        let key: String
        /// `nil` to delete the entry.
        let value: [UInt8]?
        /// The revision that the entry has now; `nil` for none.
        let revision: UInt64?
        /// Up to where the new entry is complete.
        var sequence: UInt64 = 0
    }

    private(set) var mesh: MeshState
    /// All events up to this sequence are taken in.
    private(set) var position: UInt64
    /// The revision of each entry, by key.
    private(set) var revisions: [String: UInt64]
    /// Up to where each entry is complete, by key.
    private var sequences: [String: UInt64]
    /// The stream with the events.
    private let stream: StreamState
    private let pace: Pace
    private var lacking: [String: Lack] = [:]
    /// The keys of entries to be deleted.
    private var obsolete: Set<String> = []
    /// Whether nodes with an entry may be no longer known.
    private var mayHaveDropped = false
    /// The keys of entries that may lack what this keeper has taken in, since it did not begin with them, or something
    /// else has written them; until they are replaced or deleted.
    private var foreign: Set<String>
    /// The keys of entries that are being written, with the first sequence that they lack until then.
    private var underWay: [String: UInt64] = [:]
    /// When entries were last written, as far as that is needed.
    private var written: [String: ContinuousClock.Instant] = [:]
    /// When ``written`` is looked through for what is not needed any more.
    private var prunesAt = ContinuousClock.now
    /// The nodes of which something may have to be announced.
    private var unsettled: Set<String>

    /// Begins with what is saved. Without a checkpoint, all events of the stream are to be taken in, and all entries are
    /// replaced. Entries that say nothing of this stream are deleted.
    ///
    /// - Parameters:
    ///   - saved: what is saved, with the revisions of all entries, of another stream's too.
    ///   - stream: the stream with the events.
    init(_ saved: SavedMesh, of stream: StreamState, pace: Pace) {
        mesh = saved.mesh
        revisions = saved.revisions
        sequences = saved.sequences
        self.stream = stream
        self.pace = pace
        unsettled = Set(mesh.nodeNames)
        let nodes = mesh.recordedNames
        obsolete = Set(revisions.keys.lazy.filter { !StateKey.isKeepers($0) }).subtracting(nodes.map(StateKey.node))
        foreign = obsolete
        if let checkpoint = saved.checkpoint {
            position = checkpoint.sequence
        } else {
            position = stream.firstSequence == 0 ? 0 : stream.firstSequence - 1
            for node in nodes {
                note(node, from: position.nextSequence, isNews: true, .now)
                foreign.insert(StateKey.node(node))
            }
        }
    }

    // MARK: Events

    /// Takes in an event of the stream.
    mutating func apply(_ stored: StoredEvent, now: ContinuousClock.Instant) {
        let dropped = mesh.leftOut.nodes
        let change = mesh.apply(stored)
        position = max(position, stored.sequence)
        if mesh.leftOut.nodes != dropped { mayHaveDropped = true }
        let node = stored.event.affectedNode
        guard mesh.entry(node) != nil else { return }
        let isNews = change.map { !$0.kinds.subtracting(.resources).isEmpty } ?? false
        note(node, from: stored.sequence, isNews: isNews, now)
        if isNews { unsettled.insert(node) }
    }

    /// Moves the time forward.
    mutating func advance(to time: Timestamp, now: ContinuousClock.Instant) {
        for change in mesh.advance(to: time) {
            // The facts are the same; for other readers the status is not.
            note(change.node, from: position.nextSequence, isNews: true, now)
            unsettled.insert(change.node)
        }
    }

    /// Forgets nodes and tools of which nothing was heard since a time.
    mutating func forget(olderThan time: Timestamp) {
        mesh.forget(olderThan: time)
        mayHaveDropped = true
    }

    /// Has the entries of nodes deleted that are no longer known. Its cost is that of all nodes.
    private mutating func noteDropped() {
        mayHaveDropped = false
        for key in revisions.keys where StateKey.isNode(key) { obsolete.insert(key) }
        for node in mesh.recordedNames { obsolete.remove(StateKey.node(node)) }
    }

    private mutating func note(_ node: String, from sequence: UInt64, isNews: Bool, _ now: ContinuousClock.Instant) {
        var lack = lacking[node] ?? Lack(sequence: sequence, since: now, isNews: false)
        lack.sequence = min(lack.sequence, sequence)
        lack.isNews = lack.isNews || isNews
        lacking[node] = lack
        if !obsolete.isEmpty { obsolete.remove(StateKey.node(node)) }
    }

    // MARK: Writing

    /// The entries that are to be written now; they count as under way.
    ///
    /// - Parameters:
    ///   - limit: how many at most.
    ///   - all: whether those count too that could wait.
    mutating func takeDue(_ limit: Int, all: Bool, now: ContinuousClock.Instant) -> [Write] {
        if mayHaveDropped { noteDropped() }
        var writes: [Write] = []
        for key in obsolete.prefix(limit) where underWay[key] == nil {
            obsolete.remove(key)
            guard let revision = revisions[key] else {
                foreign.remove(key)
                continue
            }
            underWay[key] = .max
            writes.append(Write(node: "", key: key, value: nil, revision: revision))
        }
        var due: [(node: String, lack: Lack)] = []
        for (node, lack) in lacking where all || isDue(node, lack, now) {
            due.append((node, lack))
            if writes.count + due.count >= limit { break }
        }
        for (node, lack) in due {
            let key = StateKey.node(node)
            guard underWay[key] == nil else { continue }
            lacking[node] = nil
            guard let snapshot = mesh.snapshot(of: node, position: place(position)) else { continue }
            underWay[key] = lack.sequence
            let text = snapshot.json(at: mesh.now)
            writes.append(
                Write(node: node, key: key, value: text, revision: revisions[key], sequence: position)
            )
        }
        return writes
    }

    private func isDue(_ node: String, _ lack: Lack, _ now: ContinuousClock.Instant) -> Bool {
        guard lack.isNews else { return now - lack.since >= pace.longest }
        return written[node].map { now - $0 >= pace.shortest } ?? true
    }

    /// Notes that an entry was written, or deleted.
    mutating func wrote(_ write: Write, revision: UInt64?, now: ContinuousClock.Instant) {
        underWay[write.key] = nil
        revisions[write.key] = revision
        sequences[write.key] = revision == nil ? nil : write.sequence
        foreign.remove(write.key)
        guard write.value != nil else { return }
        if now >= prunesAt {
            written = written.filter { now - $0.value < pace.shortest }
            prunesAt = now + pace.shortest
        }
        written[write.node] = now
    }

    /// Notes that an entry does not fit: it is tried again when the node changes. Until then not all is saved.
    mutating func refused(_ write: Write) {
        underWay[write.key] = nil
        foreign.insert(write.key)
    }

    /// Notes that an entry could not be written: it is tried again.
    mutating func failed(_ write: Write, now: ContinuousClock.Instant) {
        guard let sequence = underWay.removeValue(forKey: write.key) else { return }
        if write.value == nil {
            obsolete.insert(write.key)
        } else {
            note(write.node, from: sequence, isNews: true, now)
        }
    }

    /// Takes in an entry that another keeper has written, or an earlier write of this one; `nil` when the key has none.
    mutating func adopt(_ entry: StateEntry?, key: String) {
        revisions[key] = entry?.revision
        var left = MeshState.LeftOut()
        guard let entry, let snapshot = NodeSnapshot(entry, limits: mesh.limits, &left),
            snapshot.position.map({ $0.stream == stream.name && $0.created == stream.created }) == true
        else { return }
        mesh.apply(snapshot)
        sequences[key] = snapshot.position?.sequence
        unsettled.insert(snapshot.name)
    }

    /// Compares what is in the table with what this keeper knows of it, and has entries replaced that are not its own.
    ///
    /// - Parameters:
    ///   - present: the keys that are there.
    ///   - changed: the entries that have another revision than the one in ``revisions``.
    /// - Returns: the keys that do not belong there.
    mutating func reconcile(present: Set<String>, changed: [StateEntry], now: ContinuousClock.Instant) -> [String] {
        let gone = revisions.keys.filter { StateKey.isNode($0) && !present.contains($0) && underWay[$0] == nil }
        for key in gone { (revisions[key], sequences[key]) = (nil, nil) }
        let others = changed.filter { StateKey.isNode($0.key) && underWay[$0.key] == nil }
        for entry in others { adopt(entry, key: entry.key) }
        let known = Dictionary(mesh.recordedNames.map { (StateKey.node($0), $0) }) { first, _ in first }
        for key in gone + others.map(\.key) {
            guard let node = known[key] else {
                foreign.remove(key)
                continue
            }
            foreign.insert(key)
            note(node, from: position, isNews: true, now)
        }
        let strangers = changed.map(\.key).filter { known[$0] == nil && underWay[$0] == nil && !StateKey.isKeepers($0) }
        for key in strangers { (revisions[key], sequences[key]) = (nil, nil) }
        return strangers
    }

    /// Notes the revision of the checkpoint; `nil` when there is none.
    mutating func checkpointed(_ revision: UInt64?) { revisions[StateKey.checkpoint] = revision }

    /// All that follows from the events up to there is in the entries; `nil` while that cannot be said.
    var saved: SavedPosition? {
        guard foreign.isEmpty else { return nil }
        let open = min(lacking.values.lazy.map(\.sequence).min() ?? .max, underWay.values.min() ?? .max)
        return place(open <= position ? open - 1 : position)
    }

    private func place(_ sequence: UInt64) -> SavedPosition {
        SavedPosition(stream: stream.name, created: stream.created, sequence: sequence)
    }

    /// The keys of the nodes that have an entry, alone and with the sequences up to which they are complete.
    var savedKeys: (keys: KeySet, entries: KeySet) {
        let keys = revisions.keys.filter { StateKey.isNode($0) }
        return (KeySet(keys), KeySet(keys.map { KeySet.entry($0, sequences[$0] ?? 0) }))
    }

    // MARK: Announcements

    /// What a keeper says of a node that does not say it itself.
    enum Announcement: Sendable, Equatable {
        case unreachable(NodeUnreachable)
        case recovered(NodeRecovered)
    }

    /// What is to be announced now.
    ///
    /// - Parameter heardSince: since when the events of a node with this interval arrive without interruption, by the
    ///   server's clock; `nil` when they do not. Nodes whose events could not arrive before that have two intervals from
    ///   then.
    mutating func announcements(heardSince: (_ interval: Duration) -> Timestamp?) -> [Announcement] {
        var due: [(node: String, announcement: Announcement)] = []
        for node in unsettled {
            guard let record = mesh.entry(node), record.isVisible else {
                unsettled.remove(node)
                continue
            }
            if let announcement = record.announcement(node, at: mesh.now, heardSince: heardSince) {
                due.append((node, announcement))
            } else if !record.isSilent(at: mesh.now) {
                unsettled.remove(node)
            }
        }
        return due.sorted { $0.node < $1.node }.map(\.announcement)
    }
}

extension NodeRecord {
    /// What is to be announced; `nil` for nothing.
    fileprivate func announcement(
        _ name: String,
        at now: Timestamp,
        heardSince: (_ interval: Duration) -> Timestamp?
    ) -> KeeperLedger.Announcement? {
        if let open = reports.open {
            guard lastSeen > open.stamp.at, !hasLeft else { return nil }
            let before = open.value.lastSeen ?? open.stamp.at
            let away = max(.zero, lastSeen.duration(since: before)) / .seconds(1)
            return .recovered(NodeRecovered(node: name, lastSeen: before, awaySeconds: away))
        }
        guard isSilent(at: now), reports.maintenance(at: now) == nil,
            let since = heardSince(.seconds(interval)), now >= since.adding(.seconds(interval * 2))
        else { return nil }
        let silence = max(.zero, now.duration(since: lastSeen)) / .seconds(1)
        let tools = view(name, at: now).tools.filter { [.running, .starting, .backingOff].contains($0.state) }
        return .unreachable(
            NodeUnreachable(
                node: name,
                lastSeen: lastSeen,
                missed: Int(silence / interval),
                tools: Self.shortened(tools.map(\.name))
            )
        )
    }

    /// As many names as an announcement may have: an event must fit into the server's and the stream's limits.
    private static func shortened(_ names: [String]) -> [String] {
        var bytes = 0
        return names.prefix { name in
            // A character may be six in JSON.
            bytes += 6 * name.utf8.count
            return bytes <= 6_000
        }
    }

    /// Whether it is unreachable, and that is not announced yet.
    fileprivate func isSilent(at now: Timestamp) -> Bool { reports.open == nil && status(at: now) == .unreachable }
}
