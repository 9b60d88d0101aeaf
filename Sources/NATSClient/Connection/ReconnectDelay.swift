/// How long to wait between passes over the servers: doubling, with jitter, so that a server that comes back is not
/// met by all its clients in the same moment.
///
/// The doubling begins anew once a connection has lasted: been up for as long as ``maximum``. After one that was up for a
/// second or more the wait is at most a quarter of that time, so that a link that is lost again and again is used most of the
/// time. A server that accepts a login and drops the connection at once, or refuses the user then, is asked ever less often.
public struct ReconnectDelay: Sendable, Hashable {
    /// The upper bound of the wait before the first attempt, and the base of the doubling. Default 100 ms.
    public var initial: Duration
    /// The longest wait, and how long a connection must be up for the doubling to begin anew. Default 10 s.
    public var maximum: Duration

    /// Creates a delay policy.
    public init(initial: Duration = .milliseconds(100), maximum: Duration = .seconds(10)) {
        self.initial = initial
        self.maximum = maximum
    }

    /// The wait number `pass` (from 0) since a connection has lasted: a part of `min(maximum, initial × 2^pass)`, at least half of it after the
    /// first. `random` is in 0 ..< 1.
    func delay(beforePass pass: Int, random: Double) -> Duration {
        let bound = min(maximum, initial * (1 << min(pass, 20)))
        return pass == 0 ? bound * random : bound * (0.5 + random / 2)
    }

    /// How long a connection must have been up to have been of use.
    private static let useful: Duration = .seconds(1)

    /// How many waits count as made when a connection is lost that was up for so long and began after `made` of them.
    func waits(_ made: Int, afterUptime uptime: Duration) -> Int {
        guard uptime < maximum else { return 0 }
        guard uptime >= Self.useful else { return made }
        var count = 0
        while count < made, initial * (1 << min(count + 1, 20)) <= uptime / 4 { count += 1 }
        return count
    }
}
