import MeshEvents

/// The state of the mesh as its keeper has saved it.
struct SavedMesh: Sendable {
    /// What the entries say of the nodes, as far as they are about this stream.
    var mesh: MeshState
    /// How far that is complete; `nil` when the stream's events have to be read from its beginning all the same.
    var checkpoint: Checkpoint?
    /// The revisions of the entries, by key, that of the checkpoint included, but not the lease's.
    var revisions: [String: UInt64]
    /// Up to where the entries are complete, by key.
    var sequences: [String: UInt64] = [:]

    /// Reads what is saved.
    ///
    /// The checkpoint is read before the entries: those may be newer, and then their events count twice, which changes
    /// nothing. Entries older than the checkpoint would miss events. So it counts only when those are all there that there
    /// were when it was written, and each is the one of then, or is as complete as the checkpoint says.
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
        var attempts = 0
        while true {
            let entry = try await table.entry(StateKey.checkpoint)
            let found = try await Entries(table, limits)
            attempts += 1
            // A copy of the table may lag behind the one that gave the checkpoint: then its entries are too old.
            let isLate = found.newest < entry?.revision ?? 0
            if !isLate || attempts == mostAttempts {
                // After the entries, whose events are in the stream by now.
                let stream = try await store.state()
                let checkpoint = entry.flatMap { Checkpoint(json: $0.value) }
                return found.mesh(
                    of: stream,
                    limits,
                    checkpoint: checkpoint.flatMap { !isLate && found.areComplete($0, stream) ? $0 : nil }
                )
            }
            do { try await Task.sleep(for: .milliseconds(100)) } catch {
                throw MeshEventsError(.closed, "reading the saved state was cancelled")
            }
        }
    }

    /// How often entries are read that are older than the checkpoint.
    private static let mostAttempts = 10

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
        /// By key.
        var nodes: [String: NodeSnapshot] = [:]
        var revisions: [String: UInt64] = [:]
        /// The newest revision of all.
        var newest: UInt64 = 0
        var leftOut = MeshState.LeftOut()

        init(_ table: any StateStore, _ limits: MeshState.Limits) async throws(MeshEventsError) {
            var (nodes, revisions, left) = (nodes, revisions, leftOut)
            try await table.read { entry in
                guard entry.revision > revisions[entry.key] ?? 0, !StateKey.isOfAlerts(entry.key) else { return }
                revisions[entry.key] = entry.revision
                nodes[entry.key] = NodeSnapshot(entry, limits: limits, &left)
            }
            newest = revisions.values.max() ?? 0
            revisions[StateKey.keeper] = nil
            (self.nodes, self.revisions, leftOut) = (nodes, revisions, left)
        }

        /// Whether all is there that a checkpoint speaks of.
        func areComplete(_ checkpoint: Checkpoint, _ stream: StreamState) -> Bool {
            guard checkpoint.position.holds(for: stream) else { return false }
            let sequences = sequences(stream)
            for (key, sequence) in sequences where sequence < checkpoint.sequence {
                guard checkpoint.entries.contains(KeySet.entry(key, sequence)) else { return false }
            }
            return KeySet(sequences.keys).isSuperset(of: checkpoint.keys)
        }

        func mesh(of stream: StreamState, _ limits: MeshState.Limits, checkpoint: Checkpoint?) -> SavedMesh {
            var mesh = MeshState(limits: limits)
            mesh.leftOut.add(leftOut)
            let sequences = sequences(stream)
            for key in sequences.keys {
                if let node = nodes[key] { mesh.apply(node) }
            }
            return SavedMesh(mesh: mesh, checkpoint: checkpoint, revisions: revisions, sequences: sequences)
        }

        /// Up to where the entries are complete that are about a stream.
        private func sequences(_ stream: StreamState) -> [String: UInt64] {
            nodes.compactMapValues { $0.position.flatMap { $0.holds(for: stream) ? $0.sequence : nil } }
        }
    }
}

extension StateEntry {
    /// Itself, without a value that only takes room: it is read as nothing.
    var withoutJunk: StateEntry {
        guard key != StateKey.checkpoint, (try? EventData(json: value))?["facts"] == nil else { return self }
        return StateEntry(key: key, value: [], revision: revision, storedAt: storedAt)
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
