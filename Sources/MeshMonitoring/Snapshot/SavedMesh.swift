import MeshEvents

/// The state of the mesh as its keeper has saved it.
struct SavedMesh: Sendable {
    /// What the entries say of the nodes, as far as they are about this stream.
    var mesh: MeshState
    /// How far that is complete; `nil` when the stream's events have to be read from its beginning all the same.
    var checkpoint: Checkpoint?
    /// The revisions of the entries, by key, that of the checkpoint included, but not the lease's.
    var revisions: [String: UInt64]

    /// Reads what is saved.
    ///
    /// The checkpoint is read before the entries: those may be newer, and then their events count twice, which changes
    /// nothing. Entries older than the checkpoint would miss events. So it counts only when those are all there that there
    /// were when it was written, and each was known to the keeper then, or is as complete as the checkpoint says.
    ///
    /// - Parameters:
    ///   - table: where it is saved.
    ///   - store: the store of the stream with the events.
    ///   - limits: how much is kept.
    /// - Throws: as ``/MeshEvents/StateStore`` and ``/MeshEvents/EventStore``; `streamNotFound` when there is no table.
    static func load(
        from table: any StateStore,
        of store: any EventStore,
        limits: MeshState.Limits
    ) async throws(MeshEventsError) -> SavedMesh {
        while true {
            let entry = try await table.entry(StateKey.checkpoint)
            let found = try await Entries(table, limits)
            // A copy of the table may lag behind the one that gave the checkpoint: then its entries are too old.
            if found.revisions[StateKey.checkpoint] ?? 0 >= entry?.revision ?? 0 {
                // After the entries, whose events are in the stream by now.
                let stream = try await store.state()
                let checkpoint = entry.flatMap { Checkpoint(json: $0.value) }
                return found.mesh(
                    of: stream,
                    limits,
                    checkpoint: checkpoint.flatMap { found.areComplete($0, stream) ? $0 : nil }
                )
            }
            do { try await Task.sleep(for: .milliseconds(100)) } catch {
                throw MeshEventsError(.closed, "reading the saved state was cancelled")
            }
        }
    }

    /// Takes the table over for a keeper that begins without a checkpoint, so that no other keeper can say any more that
    /// the entries are complete: this one replaces and deletes entries without knowing all that is in them.
    ///
    /// - Returns: what the entries say, without a checkpoint.
    /// - Throws: `conflict` when another keeper was faster; otherwise as ``load(from:of:limits:)``.
    static func claim(
        _ table: any StateStore,
        of store: any EventStore,
        for keeper: String,
        limits: MeshState.Limits
    ) async throws(MeshEventsError) -> SavedMesh {
        let present = try await table.entry(StateKey.checkpoint)?.revision
        let claim = Checkpoint.claim(of: keeper)
        let revision = try await table.write(claim, signature: nil, to: StateKey.checkpoint, expected: present)
        // Read afterwards: what another keeper writes from now on is noticed by its revision.
        let found = try await Entries(table, limits)
        var saved = found.mesh(of: try await store.state(), limits, checkpoint: nil)
        saved.revisions[StateKey.checkpoint] = revision
        return saved
    }

    /// The entries of a table as they were read.
    private struct Entries {
        var nodes: [(revision: UInt64, snapshot: NodeSnapshot)] = []
        var revisions: [String: UInt64] = [:]
        var leftOut = MeshState.LeftOut()

        init(_ table: any StateStore, _ limits: MeshState.Limits) async throws(MeshEventsError) {
            var (nodes, revisions, left) = (nodes, revisions, leftOut)
            try await table.read { entry in
                revisions[entry.key] = entry.revision
                if let snapshot = NodeSnapshot(entry, limits: limits, &left) {
                    nodes.append((entry.revision, snapshot))
                }
            }
            revisions[StateKey.keeper] = nil
            (self.nodes, self.revisions, leftOut) = (nodes, revisions, left)
        }

        /// Whether all is there that a checkpoint speaks of.
        func areComplete(_ checkpoint: Checkpoint, _ stream: StreamState) -> Bool {
            guard checkpoint.position.holds(for: stream) else { return false }
            var keys: [String] = []
            for (revision, snapshot) in nodes {
                guard let position = snapshot.position, position.holds(for: stream) else { continue }
                guard revision <= checkpoint.revision || position.sequence >= checkpoint.sequence else { return false }
                keys.append(StateKey.node(snapshot.name))
            }
            return KeySet(keys).isSuperset(of: checkpoint.keys)
        }

        func mesh(of stream: StreamState, _ limits: MeshState.Limits, checkpoint: Checkpoint?) -> SavedMesh {
            var mesh = MeshState(limits: limits)
            mesh.leftOut.add(leftOut)
            for (_, snapshot) in nodes where snapshot.position?.holds(for: stream) == true { mesh.apply(snapshot) }
            return SavedMesh(mesh: mesh, checkpoint: checkpoint, revisions: revisions)
        }
    }
}

extension NodeSnapshot {
    /// Reads the entry of a node; `nil` when it is none, or has the key of another node.
    init?(_ entry: StateEntry, limits: MeshState.Limits, _ leftOut: inout MeshState.LeftOut) {
        guard StateKey.isNode(entry.key) else { return nil }
        self.init(json: entry.value, limits: limits, &leftOut)
        guard StateKey.node(name) == entry.key else { return nil }
    }
}
