import MeshConcurrency
import MeshEvents

/// A table for one writer, which notices when something else writes to it: every write to any key takes the next
/// revision, so that the own ones have no gaps.
final class TalliedTable: ForwardingStateStore {
    private struct Tally {
        /// From where it began up to this revision all writes are own ones.
        var verified: UInt64 = 0
        /// Own writes behind a gap.
        var later: Set<UInt64> = []
        /// How many own writes are under way.
        var underWay = 0
        /// Whether it is not known of an own write whether it was stored.
        var isUncertain = false

        mutating func advance() {
            while later.remove(verified + 1) != nil { verified += 1 }
        }
    }

    let table: any StateStore
    private let tally = Locked(Tally())

    init(_ table: any StateStore) { self.table = table }

    /// Begins to count behind an own write.
    func begin(after revision: UInt64) {
        tally.withLock { tally in
            tally.verified = revision
            tally.later = tally.later.filter { $0 > revision }
            tally.isUncertain = false
            tally.advance()
        }
    }

    /// Whether something else has written, or may have, before the last own write.
    var hasOtherWrites: Bool { tally.withLock { $0.underWay == 0 && ($0.isUncertain || !$0.later.isEmpty) } }

    /// The revisions of the others' writes since it began to count; `nil` when they are more than `limit`, or when it is
    /// not known of an own write whether it was stored.
    func others(_ limit: Int) -> [UInt64]? {
        tally.withLock { tally in
            guard !tally.isUncertain, let last = tally.later.max() else { return nil }
            let count = Int(clamping: last - tally.verified) - tally.later.count
            guard count <= limit else { return nil }
            return (tally.verified + 1..<last).filter { !tally.later.contains($0) }
        }
    }

    /// Notes that others' writes are none that matter.
    func excuse(_ revisions: [UInt64]) {
        tally.withLock { tally in
            tally.later.formUnion(revisions.filter { $0 > tally.verified })
            tally.advance()
        }
    }

    /// Carries out an own write.
    private func count(_ write: () async throws(MeshEventsError) -> UInt64) async throws(MeshEventsError) -> UInt64 {
        tally.withLock { $0.underWay += 1 }
        do throws(MeshEventsError) {
            let revision = try await write()
            tally.withLock { tally in
                tally.underWay -= 1
                tally.later.insert(revision)
                tally.advance()
            }
            return revision
        } catch {
            let isRefused = [.conflict, .payloadTooLarge, .storageFull].contains(error.code)
            tally.withLock { tally in
                tally.underWay -= 1
                if !isRefused { tally.isUncertain = true }
            }
            throw error
        }
    }

    func write(
        _ value: [UInt8],
        signature: String?,
        to key: String,
        expected: UInt64?
    ) async throws(MeshEventsError) -> UInt64 {
        try await count { () throws(MeshEventsError) in
            try await table.write(value, signature: signature, to: key, expected: expected)
        }
    }

    func delete(_ key: String, expected: UInt64) async throws(MeshEventsError) -> UInt64 {
        try await count { () throws(MeshEventsError) in try await table.delete(key, expected: expected) }
    }
}
