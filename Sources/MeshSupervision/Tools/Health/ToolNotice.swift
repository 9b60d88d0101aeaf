import ServiceNotification

/// What a tool has said by the protocol of sd_notify since it was last read. Its size is bounded, whatever the tool sends.
struct ToolNotice: Sendable, Hashable {
    /// The largest message, in bytes, as for systemd; larger ones are ignored.
    static let maximumBytes = ServiceNotifier.maximumBytes

    /// It is ready: `READY=1`.
    var isReady = false
    /// A sign of life: `WATCHDOG=1`.
    var isAlive = false
    /// It has noticed itself that it does not work: `WATCHDOG=trigger`.
    var isTriggered = false
    /// It is about to end: `STOPPING=1`.
    var isStopping = false
    /// What it says of itself: `STATUS=`; empty when it says nothing any more.
    var status: String?
    /// The watchdog's time that it asks for, `WATCHDOG_USEC=`; zero for none.
    var watchdog: Duration?
    /// How much time it asks for, from now on, until it is ready or has ended: `EXTEND_TIMEOUT_USEC=`.
    var moreTime: Duration?
    /// The number of the system's error that made it fail: `ERRNO=`.
    var errorNumber: Int32?

    /// Whether it says nothing.
    var isEmpty: Bool { self == ToolNotice() }

    /// Takes in a message: lines of `NAME=value`. Other names and values, `MAINPID` and `RELOADING` among them, say nothing
    /// that matters here.
    mutating func add(_ message: some Collection<UInt8>) {
        for line in message.split(separator: UInt8(ascii: "\n")) {
            guard let separator = line.firstIndex(of: UInt8(ascii: "=")),
                let value = String(validating: line[line.index(after: separator)...], as: UTF8.self)
            else { continue }
            switch (String(decoding: line[..<separator], as: UTF8.self), value) {
            case ("READY", "1"): isReady = true
            case ("WATCHDOG", "1"): isAlive = true
            case ("WATCHDOG", "trigger"): isTriggered = true
            case ("STOPPING", "1"): isStopping = true
            case ("STATUS", _):
                status = value
            case ("WATCHDOG_USEC", _): watchdog = Self.time(value) ?? watchdog
            case ("EXTEND_TIMEOUT_USEC", _): moreTime = Self.time(value) ?? moreTime
            case ("ERRNO", _): errorNumber = Int32(value).flatMap { (1...4_095).contains($0) ? $0 : nil } ?? errorNumber
            default: break
            }
        }
    }

    /// Takes in what was said later.
    mutating func add(_ later: ToolNotice) {
        isReady = isReady || later.isReady
        isAlive = isAlive || later.isAlive
        isTriggered = isTriggered || later.isTriggered
        isStopping = isStopping || later.isStopping
        status = later.status ?? status
        watchdog = later.watchdog ?? watchdog
        moreTime = later.moreTime ?? moreTime
        errorNumber = later.errorNumber ?? errorNumber
    }

    /// A number of microseconds, at most a day.
    private static func time(_ text: String) -> Duration? {
        guard !text.isEmpty, text.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
        let longest: Int64 = 86_400_000_000
        return .microseconds(min(Int64(text) ?? longest, longest))
    }
}
