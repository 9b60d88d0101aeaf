/// How a supervisor finds out whether a tool works, and what it does when the tool does not.
///
/// Without any of these settings a tool works as long as its process runs.
public struct ToolHealth: Sendable, Hashable {
    /// What follows when a tool is unhealthy.
    public enum Reaction: String, Sendable, Hashable, CaseIterable {
        /// It is ended, and that counts as a crash: its restart policy decides whether it is started again.
        case restart
        /// Only `tool.unhealthy` is emitted.
        case nothing
    }

    /// How a tool shows that it is ready.
    public enum Readiness: Sendable, Hashable {
        /// It says so itself: `READY=1` in the protocol of sd_notify.
        case notified
        /// A probe succeeds. Its ``ToolProbe/failures`` does not count.
        case probed(ToolProbe)
    }

    /// The probe that a tool must pass while it runs, once it is ready; `nil` for none.
    public var check: ToolProbe?
    /// How it shows that it is ready; `nil` when it does by the first pass of its ``check``, or need not.
    public var readiness: Readiness?
    /// How long it may take to be ready, before it is unhealthy: until it has shown it in its way, or has passed its check for
    /// the first time. Failures of the check before that do not count. From 100 ms to a day; the default is a minute.
    public var readyWithin: Duration
    /// The longest time between two signs of life (`WATCHDOG=1` in the protocol of sd_notify), once it is ready; `nil` for
    /// no watchdog. From 100 ms to a day.
    public var watchdog: Duration?
    /// What follows when it is unhealthy: when its check fails, when it is not ready in time, or when a sign of life is
    /// missing. The default is ``Reaction/restart``.
    public var onUnhealthy: Reaction

    /// Creates settings; the default asks for nothing.
    public init(
        check: ToolProbe? = nil,
        readiness: Readiness? = nil,
        readyWithin: Duration = .seconds(60),
        watchdog: Duration? = nil,
        onUnhealthy: Reaction = .restart
    ) {
        self.check = check
        self.readiness = readiness
        self.readyWithin = readyWithin
        self.watchdog = watchdog
        self.onUnhealthy = onUnhealthy
    }

    /// The allowed values of ``readyWithin``, ``watchdog`` and ``ToolProbe/every``.
    static let times: ClosedRange<Duration> = .milliseconds(100) ... .seconds(86_400)

    /// Whether the tool speaks to its supervisor, so that it needs a socket for that.
    var usesNotifications: Bool { readiness == .notified || watchdog != nil }

    /// The longest time from one probe to the next until a check has passed for the first time, and from being ready to the
    /// first check.
    static let firstRhythm: Duration = .seconds(1)

    /// What shows that it is ready: ``readiness``, or else the first pass of ``check``, for which it is asked more often. `nil`
    /// when nothing does.
    var start: Readiness? {
        if let readiness { return readiness }
        guard var probe = check else { return nil }
        probe.every = min(probe.every, Self.firstRhythm)
        return .probed(probe)
    }

    /// Whether there is anything to watch.
    var isWatched: Bool { check != nil || readiness != nil || watchdog != nil }

    /// The first rule that is broken; `nil` when there is none.
    var problem: String? {
        if let problem = check?.problem { return "has a health check that \(problem)" }
        if case .probed(let probe) = readiness, let problem = probe.problem {
            return "has a readiness check that \(problem)"
        }
        if !Self.times.contains(readyWithin) {
            return "may take \(readyWithin) to be ready; it must be 100 ms to a day"
        }
        if let watchdog, !Self.times.contains(watchdog) {
            return "has a watchdog of \(watchdog); it must be 100 ms to a day"
        }
        return nil
    }

    /// A duration as manifests write it: `30s`, `1.5s`, `250ms`.
    static func text(_ duration: Duration) -> String {
        let milliseconds = Int64((duration / .milliseconds(1)).rounded())
        guard milliseconds >= 1_000 else { return "\(milliseconds)ms" }
        guard !milliseconds.isMultiple(of: 1_000) else { return "\(milliseconds / 1_000)s" }
        return "\(Double(milliseconds) / 1_000)s"
    }
}

/// One way to ask whether a tool works, and how often.
public struct ToolProbe: Sendable, Hashable {
    /// What is asked.
    public enum Target: Sendable, Hashable {
        /// An address that must answer a GET with a status from 200 to 399; redirects are not followed. Only `http://`,
        /// without a user and a password.
        case http(String)
        /// A host and a port, `127.0.0.1:9000` or `[::1]:9000`, that must take a connection. The system takes connections for a program that hangs, too.
        case tcp(String)
        /// A program and its arguments, which must exit with code 0. It runs as the tool does, with its environment,
        /// directory, user and limits; its last
        /// line of output, that of standard error first, is the reason when it fails.
        case command([String])
    }

    /// What is asked.
    public var target: Target
    /// The time from the start of a probe to the start of the next, which begins when the one before has ended. From 100 ms
    /// to a day; the default is 10 seconds. A check that shows that the tool is ready runs every second at least until it has
    /// passed.
    public var every: Duration
    /// How long a probe may take before it has failed. From 10 ms to an hour; the default is 2 seconds.
    public var timeout: Duration
    /// How many probes in a row must fail until the tool is unhealthy. From 1 to 1 000; the default is 3.
    public var failures: Int

    /// Creates a probe.
    public init(_ target: Target, every: Duration = .seconds(10), timeout: Duration = .seconds(2), failures: Int = 3) {
        self.target = target
        self.every = every
        self.timeout = timeout
        self.failures = failures
    }

    /// The allowed values of ``timeout``.
    static let timeouts: ClosedRange<Duration> = .milliseconds(10) ... .seconds(3_600)
    /// The allowed values of ``failures``.
    static let failureCounts = 1...1_000

    /// The first rule that is broken, as the rest of a sentence; `nil` when there is none.
    var problem: String? {
        if !ToolHealth.times.contains(every) { return "runs every \(every); it must be 100 ms to a day" }
        if !Self.timeouts.contains(timeout) { return "may take \(timeout); it must be 10 ms to an hour" }
        if !Self.failureCounts.contains(failures) { return "may fail \(failures) times; it must be 1 to 1000" }
        switch target {
        case .http(let url):
            do throws(HTTPTarget.Problem) {
                _ = try HTTPTarget(url)
                return nil
            } catch {
                return "asks an address that cannot be used: \(error.description)"
            }
        case .tcp(let address):
            return HTTPTarget.split(address) == nil ? "asks a port that cannot be used; give it as 127.0.0.1:9000" : nil
        case .command(let words):
            if words.first?.isEmpty ?? true { return "names no program" }
            return words.contains { $0.utf8.contains(0) } ? "has a zero byte in its command" : nil
        }
    }

    /// Whether a text can be the name or address of a host.
    static func isHost(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= 253
            && text.unicodeScalars.allSatisfy {
                $0.value > 0x20 && $0.value < 0x7F && !"/@\\".unicodeScalars.contains($0)
            }
    }
}

/// The parts of an address that a probe asks.
struct HTTPTarget: Sendable, Hashable {
    /// Why an address cannot be used. It does not quote the address, which may hold a secret.
    struct Problem: Error, CustomStringConvertible {
        let description: String
    }

    let host: String
    let port: Int
    /// The path with the query.
    let path: String
    /// The value of the request's Host field.
    let authority: String

    /// Reads an address.
    ///
    /// - Throws: ``Problem``.
    init(_ url: String) throws(Problem) {
        let example = "give it as http://127.0.0.1:9000/healthz"
        guard url.unicodeScalars.allSatisfy({ $0.value > 0x20 && $0.value < 0x7F }) else {
            throw Problem(description: "it has spaces or characters beyond ASCII; \(example)")
        }
        let lowercased = url.lowercased()
        guard !lowercased.hasPrefix("https://") else {
            let advice = "https is not supported; ask the tool's own port by http, or write exec: [curl, -fsS, …]"
            throw Problem(description: advice)
        }
        guard lowercased.hasPrefix("http://") else {
            throw Problem(description: "it does not begin with http://; \(example)")
        }
        let rest = url.dropFirst("http://".count)
        let end = rest.firstIndex { "/?#".contains($0) } ?? rest.endIndex
        let authority = rest[..<end]
        guard !authority.contains("@") else {
            throw Problem(description: "it has a user; an address without one, or exec: [curl, …], is possible")
        }
        var target = rest[end...]
        if let fragment = target.firstIndex(of: "#") { target = target[..<fragment] }
        guard let (host, port) = Self.split(authority, defaultPort: 80) else {
            throw Problem(description: "its host or port is none; \(example)")
        }
        (self.host, self.port, self.authority) = (host, port, String(authority))
        path = target.hasPrefix("/") ? String(target) : "/" + target
    }

    /// Splits `host:port`; an IPv6 address is in brackets.
    ///
    /// - Parameter defaultPort: the port when none is given; `nil` when one has to be.
    static func split(_ text: some StringProtocol, defaultPort: Int? = nil) -> (host: String, port: Int)? {
        var host = text[...]
        var port = defaultPort
        if text.hasPrefix("[") {
            guard let end = text.firstIndex(of: "]") else { return nil }
            host = text[text.index(after: text.startIndex)..<end]
            guard host.allSatisfy({ $0.isHexDigit || $0 == ":" || $0 == "." || $0 == "%" }) else { return nil }
            let rest = text[text.index(after: end)...]
            if !rest.isEmpty {
                guard rest.hasPrefix(":"), let number = number(rest.dropFirst()) else { return nil }
                port = number
            }
        } else if let colon = text.firstIndex(of: ":") {
            guard let number = number(text[text.index(after: colon)...]) else { return nil }
            (host, port) = (text[..<colon], number)
        }
        guard let port, ToolProbe.isHost(String(host)) else { return nil }
        return (String(host), port)
    }

    private static func number(_ text: some StringProtocol) -> Int? {
        guard text.utf8.allSatisfy({ (48...57).contains($0) }), let number = Int(text), (1...65_535).contains(number)
        else {
            return nil
        }
        return number
    }
}

extension ToolHealth {
    /// The settings with each text of the probes changed.
    func mapTexts(_ change: (String) -> String) -> ToolHealth {
        var health = self
        health.check?.target.mapTexts(change)
        if case .probed(var probe) = readiness {
            probe.target.mapTexts(change)
            health.readiness = .probed(probe)
        }
        return health
    }
}

extension ToolProbe.Target {
    fileprivate mutating func mapTexts(_ change: (String) -> String) {
        self =
            switch self {
            case .http(let url): .http(change(url))
            case .tcp(let address): .tcp(change(address))
            case .command(let words): .command(words.map(change))
            }
    }
}
