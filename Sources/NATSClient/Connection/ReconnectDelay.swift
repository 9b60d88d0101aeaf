/// How long to wait between passes over the servers. The wait doubles, with jitter, so that not all clients connect to
/// a returning server in the same moment.
///
/// The doubling begins anew after a connection that was up for at least ``maximum``. After one that was up for a second
/// or more, the wait is at most a quarter of that time: a link that is lost again and again is used most of the time. A
/// server that accepts a login and then drops the connection or refuses the user at once is tried less and less often.
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

    /// The wait number `pass`, from 0 since a connection was up for ``maximum``. It is a part of
    /// `min(maximum, initial × 2^pass)`, at least half of it after the first. `random` is in 0 ..< 1.
    func delay(beforePass pass: Int, random: Double) -> Duration {
        let bound = min(maximum, initial * (1 << min(pass, 20)))
        return pass == 0 ? bound * random : bound * (0.5 + random / 2)
    }

    /// How long a connection must have been up to count as useful.
    private static let useful: Duration = .seconds(1)

    /// How many waits count as made when a connection is lost. It was up for `uptime` and began after `made` waits.
    func waits(_ made: Int, afterUptime uptime: Duration) -> Int {
        guard uptime < maximum else { return 0 }
        guard uptime >= Self.useful else { return made }
        var count = 0
        while count < made, initial * (1 << min(count + 1, 20)) <= uptime / 4 { count += 1 }
        return count
    }
}
