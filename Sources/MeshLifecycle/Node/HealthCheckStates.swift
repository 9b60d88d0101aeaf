/// What a node knows of its checks: a pure value.
struct HealthCheckStates {
    private struct Check {
        let id: UInt64
        let timeout: Duration
        /// Why it fails; `nil` when all is well, or nothing is known yet.
        var failure: String?
        /// Whether it is being asked.
        var isUnderWay = false
        /// Whether the present run has taken longer than it may.
        var isLate = false
    }

    private var checks: [String: Check] = [:]
    private var lastID: UInt64 = 0

    /// The failing checks and why, by name.
    var failing: [String: String] { checks.compactMapValues(\.failure) }

    /// Adds a check; an earlier one of that name is forgotten.
    ///
    /// - Returns: what tells its answers from those of an earlier one.
    mutating func add(_ name: String, timeout: Duration) -> UInt64 {
        lastID += 1
        checks[name] = Check(id: lastID, timeout: timeout)
        return lastID
    }

    /// Forgets a check; `true` when that changes what is failing.
    mutating func remove(_ name: String) -> Bool {
        checks.removeValue(forKey: name)?.failure != nil
    }

    /// A run begins.
    mutating func begin(_ name: String, _ id: UInt64) {
        _ = change(name, id) { check in
            check.isUnderWay = true
            check.isLate = false
        }
    }

    /// The present run has used up its time; `true` when that changes what is failing.
    mutating func expire(_ name: String, _ id: UInt64) -> Bool {
        change(name, id) { check in
            guard check.isUnderWay else { return }
            check.isLate = true
            check.failure = "no answer within \(check.timeout)"
        }
    }

    /// The present run has ended; `true` when that changes what is failing. An answer that came too late is a failure.
    mutating func finish(_ name: String, _ id: UInt64, failure: String?) -> Bool {
        change(name, id) { check in
            check.isUnderWay = false
            if !check.isLate { check.failure = failure }
        }
    }

    private mutating func change(_ name: String, _ id: UInt64, _ body: (inout Check) -> Void) -> Bool {
        guard var check = checks[name], check.id == id else { return false }
        let before = check.failure
        body(&check)
        checks[name] = check
        return (before == nil) != (check.failure == nil)
    }
}
