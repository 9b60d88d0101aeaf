package import MeshEvents

/// A lease as it was last written.
package struct LeaseReading: Sendable, Equatable {
    /// The name of the node that holds it.
    package var node: String
    /// The revision of the write.
    package var revision: UInt64
    /// When it was written, by the server's clock.
    package var storedAt: Timestamp

    /// Reads a lease; `nil` when the entry is none.
    package init?(_ entry: StateEntry) {
        guard let holder = Lease.Holder(json: entry.value) else { return nil }
        self.init(node: holder.node, revision: entry.revision, storedAt: entry.storedAt)
    }

    init(node: String, revision: UInt64, storedAt: Timestamp) {
        self.node = node
        self.revision = revision
        self.storedAt = storedAt
    }
}

/// Tells from readings whether a lease is renewed. A holder that was killed leaves its lease behind; clocks of different
/// machines need not agree, so what counts is whether the revision changes.
package struct LeaseSightings: Sendable {
    /// What is known of a lease.
    package enum Sighting: Sendable, Equatable {
        /// It was given back, or there never was one.
        case free
        /// It is renewed, as far as is known.
        case held
        /// It has not been renewed for ``LeaseSightings/lease``.
        case lost
        /// It was not written just now by this machine's clock: it takes another reading to know whether it is renewed.
        case undecided
    }

    /// How long a lease counts that is not renewed: leases last 15 s by default.
    package static let lease: Duration = .seconds(20)

    private struct Seen: Sendable {
        var revision: UInt64
        var since: ContinuousClock.Instant
        /// Whether it was written not long before it was seen.
        var isFresh: Bool
    }

    private var seen: Seen?

    /// Nothing was read yet.
    package init() {}

    /// Takes a reading in.
    ///
    /// - Parameters:
    ///   - reading: what was read now; `nil` when there is no lease.
    ///   - time: the time by this machine's clock.
    ///   - now: the present instant.
    package mutating func take(
        _ reading: LeaseReading?,
        time: Timestamp = .now,
        now: ContinuousClock.Instant = .now
    ) -> Sighting {
        guard let reading else {
            seen = nil
            return .free
        }
        if let seen, seen.revision == reading.revision {
            if now - seen.since >= Self.lease { return .lost }
            return seen.isFresh ? .held : .undecided
        }
        let isRecent = (time.subtracting(Self.lease)...time.adding(Self.lease)).contains(reading.storedAt)
        let isFresh = seen != nil || isRecent
        seen = Seen(revision: reading.revision, since: now, isFresh: isFresh)
        return isFresh ? .held : .undecided
    }
}
