/// One run of a node's process, known by the `instance` that it publishes. A node that joins with another instance was
/// started anew: what its predecessor had running is not.
struct Incarnation: Sendable, Equatable {
    /// The instance.
    private(set) var instance: String
    /// The earliest that it said.
    private(set) var start: Stamp
    /// Its newest `node.joined`.
    private var joined: Stamp?
    /// The earliest that another instance said.
    private var earliestOther: Stamp?

    /// The beginning, when there was a run before it.
    var cutoff: Stamp? { earliestOther.map { $0 < start } == true ? start : nil }

    /// Takes in that an instance said something.
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

    /// Whether another instance takes its place: the one that joined last; while none has, the first.
    private func isReplaced(at stamp: Stamp, isJoin: Bool) -> Bool {
        if isJoin { return joined.map { $0 < stamp } ?? true }
        return joined == nil && stamp < start
    }
}
