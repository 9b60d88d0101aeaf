/// The results of a node's checks: a pure value.
struct HealthCheckStates {
    private struct Check {
        let id: UInt64
        let timeout: Duration
        /// Why it fails; `nil` when all is well, or nothing is known yet.
        var failure: String?
        /// Whether a run is under way.
        var isUnderWay = false
        /// Whether the present run has taken longer than it may.
        var isLate = false
    }

    private var checks: [String: Check] = [:]
    private var lastID: UInt64 = 0

    /// The failing checks by name, with the reason.
    var failing: [String: String] { checks.compactMapValues(\.failure) }

    /// Adds a check; an earlier one of that name is forgotten.
    ///
    /// - Returns: an id that tells its results from those of an earlier check of that name.
    mutating func add(_ name: String, timeout: Duration) -> UInt64 {
        lastID += 1
        checks[name] = Check(id: lastID, timeout: timeout)
        return lastID
    }

    /// Forgets a check; `true` when that changes what is failing.
    mutating func remove(_ name: String) -> Bool {
        checks.removeValue(forKey: name)?.failure != nil
    }

    /// Notes that a run begins.
    mutating func begin(_ name: String, _ id: UInt64) {
        _ = change(name, id) { check in
            check.isUnderWay = true
            check.isLate = false
        }
    }

    /// Notes that the present run has reached its timeout; `true` when that changes what is failing.
    mutating func expire(_ name: String, _ id: UInt64) -> Bool {
        change(name, id) { check in
            guard check.isUnderWay else { return }
            check.isLate = true
            check.failure = "no answer within \(check.timeout)"
        }
    }

    /// Notes the result of the present run; `true` when that changes what is failing. A result after the timeout leaves
    /// the check failing.
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
