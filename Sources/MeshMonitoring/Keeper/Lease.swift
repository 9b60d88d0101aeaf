import MeshConcurrency
package import MeshEvents

/// The right to do some work for the mesh, as keeping its state: one of several candidates has it at a time.
///
/// It is a key of the table that its holder writes again and again, each time with the revision of its last write. A
/// candidate that has seen one revision for the whole ``duration`` takes the key over, with that revision. So no clock
/// is compared with another machine's: only the order of writes at the server and time passed here decide.
///
/// A holder that was stopped for a while may believe that it holds the lease still: whatever it writes must carry its
/// own condition.
package final class Lease: Sendable {
    /// Who holds the lease.
    package struct Holder: Sendable, Equatable {
        /// The name of the node.
        package var node: String
        /// Different for each candidate.
        package var instance: String

        /// Creates a candidate of a node.
        package init(node: String) {
            self.init(node: node, instance: String(UInt64.random(in: .min ... .max), radix: 36))
        }

        init(node: String, instance: String) {
            self.node = node
            self.instance = instance
        }
    }

    private struct State {
        /// The revision of the own last write; `nil` without the lease.
        var revision: UInt64?
        /// Until when no other candidate can have taken it.
        var end = ContinuousClock.now
        /// When the own last write was known to be stored.
        var stored = ContinuousClock.now
    }

    private let table: any StateStore
    private let key: String
    private let work: String
    private let holder: Holder
    /// How long a lease lasts that is not renewed.
    package let duration: Duration
    private let state = Locked(State())

    /// - Parameters:
    ///   - table: where the lease is.
    ///   - key: its key there.
    ///   - work: what its holder does, for messages: `keeps the state of the mesh`.
    ///   - holder: the candidate.
    ///   - duration: how long a lease lasts that is not renewed.
    package init(_ table: any StateStore, key: String, for work: String, holder: Holder, duration: Duration) {
        self.table = table
        self.key = key
        self.work = work
        self.holder = holder
        self.duration = duration
    }

    /// How often the holder renews it, and how often candidates look.
    package var interval: Duration { duration / 3 }

    /// Whether no other candidate can have taken the lease.
    package var isHeld: Bool { remaining > .zero }

    /// For how long no other candidate can take it; nothing without it.
    package var remaining: Duration {
        state.withLock { $0.revision == nil ? .zero : max($0.end - .now, .zero) }
    }

    /// Asks for the lease's entry: a sign of life of the server, and its clock.
    ///
    /// - Returns: When the entry was stored by the server's clock, and an instant at which that time had come; `nil` when
    ///   there is none.
    package func look() async throws(MeshEventsError) -> (stored: Timestamp, known: ContinuousClock.Instant)? {
        let own = state.withLock { ($0.revision, $0.stored) }
        guard let entry = try await table.entry(key) else { return nil }
        // What something else has written there was stored before now.
        return (entry.storedAt, entry.revision == own.0 ? own.1 : .now)
    }

    /// Waits until the lease is free, and takes it. Creates the table when there is none. What is no lease in its place
    /// does not keep a candidate from taking it, however often it is written.
    ///
    /// - Parameter onAnswer: is called whenever the table has answered, with who has the lease; `nil` for none.
    /// - Returns: the revision of the write that took it.
    /// - Throws: `closed` when the task is cancelled; errors of the table that do not pass, or have lasted for
    ///   ``duration``.
    package func acquire(onAnswer: (_ holder: Holder?) async -> Void) async throws(MeshEventsError) -> UInt64 {
        var seen: (revision: UInt64?, since: ContinuousClock.Instant)?
        var (answered, hasTried) = (ContinuousClock.now, false)
        while true {
            var pause = interval
            do throws(MeshEventsError) {
                // Refused when there is a lease, and by who does not let this node write.
                if !hasTried {
                    hasTried = true
                    return try await take(nil)
                }
                let entry = try await table.entry(key)
                await onAnswer(entry.flatMap { Holder(json: $0.value) })
                answered = .now
                if let entry {
                    let other = Holder(json: entry.value)
                    if seen == nil || other != nil && seen?.revision != entry.revision {
                        seen = (other == nil ? nil : entry.revision, .now)
                    }
                    let free = (seen?.since ?? .now) + duration
                    if other?.instance == holder.instance || free <= .now { return try await take(entry.revision) }
                    pause = min(pause, free - .now)
                } else {
                    return try await take(nil)
                }
            } catch {
                switch error.code {
                case .conflict: pause = .zero
                case .streamNotFound:
                    try await table.create()
                    pause = .zero
                case _ where error.isRetriable || error.code == .timeout:
                    guard .now - answered < duration else { throw error }
                default: throw error
                }
            }
            try await Self.sleep(pause)
        }
    }

    /// Renews the lease until it is lost, or the task is cancelled.
    ///
    /// - Throws: `conflict` when another candidate has taken it; `timeout` when it could not be renewed in time; errors
    ///   of the table that do not pass.
    package func keep() async throws(MeshEventsError) {
        while true {
            try await Self.sleep(interval)
            try await renew()
        }
    }

    /// Renews the lease now.
    ///
    /// - Returns: the revision of the write.
    /// - Throws: as ``keep()``.
    @discardableResult
    package func renew() async throws(MeshEventsError) -> UInt64 {
        var expected = state.withLock { $0.revision }
        while true {
            do throws(MeshEventsError) {
                return try await take(expected)
            } catch {
                guard error.isRetriable || error.code == .timeout || error.code == .conflict, isHeld else {
                    drop()
                    throw error
                }
                // After an answer that was lost the key may have the new revision. While the lease lasts no candidate
                // takes it: what else is there is no lease.
                guard let present = await present() else {
                    try await Self.sleep(interval / 10)
                    continue
                }
                if let other = present.holder, other.instance != holder.instance {
                    drop()
                    throw error.code == .conflict
                        ? error : MeshEventsError(.conflict, "\(other.node) \(work)")
                }
                expected = present.revision
                if error.code != .conflict { try await Self.sleep(interval / 10) }
            }
        }
    }

    /// What is in the lease's place; `nil` when that cannot be read.
    private func present() async -> (revision: UInt64?, holder: Holder?)? {
        do throws(MeshEventsError) {
            let entry = try await table.entry(key)
            return (entry?.revision, entry.flatMap { Holder(json: $0.value) })
        } catch {
            return nil
        }
    }

    /// Gives the lease back, so that another candidate need not wait.
    package func release() async {
        guard let revision = drop() else { return }
        _ = try? await table.delete(key, expected: revision)
    }

    /// Forgets that it has the lease.
    @discardableResult
    private func drop() -> UInt64? {
        state.withLock { state in
            defer { state.revision = nil }
            return state.revision
        }
    }

    private func take(_ expected: UInt64?) async throws(MeshEventsError) -> UInt64 {
        // From before the write: other candidates count from later on.
        let end = ContinuousClock.now + duration
        let revision = try await table.write(holder.json, signature: nil, to: key, expected: expected)
        state.withLock { ($0.revision, $0.end, $0.stored) = (revision, end, .now) }
        return revision
    }

    private static func sleep(_ duration: Duration) async throws(MeshEventsError) {
        do { try await Task.sleep(for: duration) } catch {
            throw MeshEventsError(.closed, "the work was cancelled")
        }
    }
}

extension Lease.Holder {
    init?(json text: [UInt8]) {
        guard let data = try? EventData(json: text), let node = data["node"]?.string,
            let instance = data["instance"]?.string
        else { return nil }
        self.init(node: node, instance: instance)
    }

    var json: [UInt8] {
        let data: EventData = ["node": .string(node), "instance": .string(instance)]
        return Array(data.json.utf8)
    }
}
