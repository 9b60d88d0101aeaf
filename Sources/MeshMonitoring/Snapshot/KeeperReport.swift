package import MeshEvents

/// Who keeps the state of a mesh, and how far behind the events the saved state is.
package struct KeeperReport: Sendable, Equatable {
    /// The name of the node that keeps the state; `nil` when none does.
    package var keeper: String?
    /// Until when the state is saved, by the server's clock; `nil` when nothing is saved of this stream.
    package var savedUntil: Timestamp?
    /// The last sequence that counts; `nil` when nothing is saved of this stream.
    package var sequence: UInt64?
    /// How many sequences of the stream come after it; `nil` when nothing is saved of this stream.
    package var behind: UInt64?
}

/// What the table says of the keeper at one moment. ``KeeperSightings`` makes a report of it.
package struct KeeperReading: Sendable {
    /// The lease as it was last written; `nil` when no keeper holds one.
    var lease: LeaseReading?
    /// How far the state of this stream is saved; `nil` when nothing is saved of it.
    var checkpoint: Checkpoint?
    /// The last sequence of the stream.
    var lastSequence: UInt64

    init(
        lease: LeaseReading?,
        checkpoint: Checkpoint?,
        lastSequence: UInt64
    ) {
        self.lease = lease
        self.checkpoint = checkpoint
        self.lastSequence = lastSequence
    }

    /// Reads the lease and the checkpoint.
    ///
    /// - Parameters:
    ///   - table: where the state is saved.
    ///   - verification: with the policy `reject`, only what a node has signed counts that is trusted to keep the state.
    ///   - store: the store of the stream with the events.
    /// - Throws: `streamNotFound` when there is no stream; otherwise as ``/MeshEvents/StateStore``.
    package init(
        from table: any StateStore,
        verification: SignatureVerification? = nil,
        of store: any EventStore
    ) async throws(MeshEventsError) {
        let (lease, saved) = try await Self.entries(of: SignedTable(table, verification: verification))
        // After the checkpoint, whose sequence is in the stream by now.
        let stream = try await store.state()
        let checkpoint = saved.flatMap { Checkpoint(json: $0.value) }
        self.init(
            lease: lease.flatMap { LeaseReading($0) },
            checkpoint: checkpoint.flatMap { $0.position.holds(for: stream) ? $0 : nil },
            lastSequence: stream.lastSequence
        )
    }

    /// The entries of the lease and the checkpoint; none when there is no table.
    private static func entries(
        of table: any StateStore
    ) async throws(MeshEventsError) -> (lease: StateEntry?, checkpoint: StateEntry?) {
        do throws(MeshEventsError) {
            return (try await table.entry(StateKey.keeper), try await table.entry(StateKey.checkpoint))
        } catch {
            guard error.code == .streamNotFound else { throw error }
            return (nil, nil)
        }
    }
}

/// Makes reports of readings.
package struct KeeperSightings: Sendable {
    private var lease = LeaseSightings()

    package init() {}

    /// Takes a reading in.
    ///
    /// - Parameters:
    ///   - reading: what was read now.
    ///   - time: the time by this machine's clock.
    ///   - now: the present instant.
    /// - Returns: `nil` when it takes another reading to know whether the lease is renewed.
    package mutating func take(
        _ reading: KeeperReading,
        time: Timestamp = .now,
        now: ContinuousClock.Instant = .now
    ) -> KeeperReport? {
        let checkpoint = reading.checkpoint
        var report = KeeperReport(
            savedUntil: checkpoint?.at,
            sequence: checkpoint?.sequence,
            behind: checkpoint.map { reading.lastSequence - min($0.sequence, reading.lastSequence) }
        )
        switch lease.take(reading.lease, time: time, now: now) {
        case .free, .lost: return report
        case .undecided: return nil
        case .held:
            report.keeper = reading.lease?.node
            return report
        }
    }
}
