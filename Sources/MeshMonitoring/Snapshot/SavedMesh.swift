import MeshEvents

/// The state of the mesh as its keeper has saved it.
struct SavedMesh: Sendable {
    /// What is saved of the nodes.
    var mesh: MeshState
    /// How far that is complete.
    var checkpoint: Checkpoint
    /// The revisions of the entries of the nodes, by key, and that of the checkpoint.
    var revisions: [String: UInt64]

    /// Reads what is saved.
    ///
    /// The checkpoint is read before the entries: those may be newer, and then their events count twice, which changes
    /// nothing. Entries older than the checkpoint would miss events.
    ///
    /// - Parameters:
    ///   - table: where it is saved.
    ///   - stream: the stream with the events.
    ///   - limits: how much is kept.
    /// - Returns: `nil` when nothing is saved of this stream.
    /// - Throws: as ``/MeshEvents/StateStore``; `streamNotFound` when there is no table.
    static func load(
        from table: any StateStore,
        of stream: StreamState,
        limits: MeshState.Limits
    ) async throws(MeshEventsError) -> SavedMesh? {
        while true {
            guard let entry = try await table.entry(StateKey.checkpoint),
                let checkpoint = Checkpoint(json: entry.value),
                checkpoint.holds(for: stream)
            else { return nil }
            var (mesh, revisions) = (MeshState(limits: limits), [String: UInt64]())
            try await table.read { entry in
                revisions[entry.key] = entry.revision
                guard StateKey.isNode(entry.key) else { return }
                if let snapshot = mesh.read(entry.value), StateKey.node(snapshot.name) == entry.key {
                    mesh.apply(snapshot)
                }
            }
            // A copy of the table may lag behind the one that gave the checkpoint: then its entries are too old.
            let revision = revisions.removeValue(forKey: StateKey.checkpoint) ?? 0
            revisions[StateKey.keeper] = nil
            if revision >= entry.revision {
                // An entry that was lost is in the stream perhaps: it is read as a whole.
                guard revisions.keys.count(where: { StateKey.isNode($0) }) >= checkpoint.nodes else { return nil }
                revisions[StateKey.checkpoint] = revision
                return SavedMesh(mesh: mesh, checkpoint: checkpoint, revisions: revisions)
            }
            do { try await Task.sleep(for: .milliseconds(100)) } catch {
                throw MeshEventsError(.closed, "reading the saved state was cancelled")
            }
        }
    }

    /// Takes the table over for a keeper that begins without what is saved, so that no other keeper can say any more that
    /// the entries are complete: this one replaces and deletes entries without knowing what is in them.
    ///
    /// - Returns: the revisions of the entries of the nodes, and of the checkpoint, which now says nothing.
    /// - Throws: `conflict` when another keeper was faster; otherwise as ``/MeshEvents/StateStore``.
    static func claim(
        _ table: any StateStore,
        for keeper: String
    ) async throws(MeshEventsError) -> [String: UInt64] {
        let present = try await table.entry(StateKey.checkpoint)?.revision
        let claimed = try await table.write(Checkpoint.claim(of: keeper), to: StateKey.checkpoint, expected: present)
        // Read afterwards: what another keeper writes from now on is noticed by its revision.
        var revisions: [String: UInt64] = [:]
        try await table.read { revisions[$0.key] = $0.revision }
        revisions[StateKey.keeper] = nil
        revisions[StateKey.checkpoint] = claimed
        return revisions
    }
}

extension MeshState {
    /// Reads a node's entry; counts what is not kept of it.
    fileprivate mutating func read(_ text: [UInt8]) -> NodeSnapshot? {
        var left = LeftOut()
        let snapshot = NodeSnapshot(json: text, limits: limits, &left)
        leftOut.add(left)
        return snapshot
    }
}
