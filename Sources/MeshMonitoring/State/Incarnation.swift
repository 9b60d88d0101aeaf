/// One run of a node's process, known by the `instance` that it publishes. A node that joins with another instance was
/// started anew: the tools of the earlier run have ended.
struct Incarnation: Sendable, Equatable {
    /// The instance.
    var instance: String
    /// The time of its earliest event.
    var start: Stamp
    /// Its newest `node.joined`.
    var joined: Stamp?
    /// The time of the earliest event of another instance.
    var earliestOther: Stamp?

    /// The start of this run; `nil` when no earlier run is known.
    var cutoff: Stamp? { earliestOther.map { $0 < start } == true ? start : nil }

    /// Takes in an event of an instance.
    static func learn(_ known: inout Incarnation?, _ instance: String, at stamp: Stamp, isJoin: Bool) {
        guard var current = known else {
            known = Incarnation(instance: instance, start: stamp, joined: isJoin ? stamp : nil)
            return
        }
        if current.instance == instance {
            current.start = min(current.start, stamp)
            if isJoin { current.joined = Stamp.latest(current.joined, stamp) }
        } else if current.isReplaced(at: stamp, isJoin: isJoin) {
            let earliest = Stamp.earliest(current.earliestOther, current.start)
            current = Incarnation(
                instance: instance,
                start: stamp,
                joined: isJoin ? stamp : nil,
                earliestOther: earliest
            )
        } else {
            current.earliestOther = Stamp.earliest(current.earliestOther, stamp)
        }
        known = current
    }

    /// Whether another instance replaces this one: the instance that joined last counts; while none has joined, the
    /// first.
    private func isReplaced(at stamp: Stamp, isJoin: Bool) -> Bool {
        if isJoin { return joined.map { $0 < stamp } ?? true }
        return joined == nil && stamp < start
    }

    /// Itself without what is from before a report; `nil` when it is from before it.
    func after(_ report: Stamp) -> Incarnation? {
        guard let start = start.after(report) else { return nil }
        return Incarnation(
            instance: instance,
            start: start,
            joined: joined?.after(report),
            earliestOther: earliestOther?.after(report)
        )
    }

    /// Takes in what is known elsewhere.
    static func merge(_ known: inout Incarnation?, _ other: Incarnation?) {
        guard let other else { return }
        guard var current = known else {
            known = other
            return
        }
        if current.instance == other.instance {
            current.start = min(current.start, other.start)
            current.joined = Stamp.latest(current.joined, other.joined)
            current.earliestOther = Stamp.earliest(current.earliestOther, other.earliestOther)
        } else {
            let isJoin = other.joined != nil
            let (newer, older) =
                current.isReplaced(at: other.joined ?? other.start, isJoin: isJoin)
                ? (other, current) : (current, other)
            current = newer
            current.earliestOther = Stamp.earliest(
                newer.earliestOther,
                Stamp.earliest(older.earliestOther, older.start)
            )
        }
        known = current
    }
}
