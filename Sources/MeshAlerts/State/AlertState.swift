import MeshEvents

/// An alert of a rule.
struct AlertKey: Sendable, Hashable {
    var rule: String
    var group: AlertGroup
}

/// What is known of one alert; from this and the events behind ``sequence`` follows all that it does.
struct AlertState: Sendable, Equatable {
    enum Phase: String, Sendable {
        /// It does not fire. Events may have been counted, or seen.
        case idle
        /// Events say so, but not for long enough.
        case pending
        /// It fires.
        case firing
    }

    /// A report that has not been stored as an event yet.
    struct Report: Sendable, Equatable {
        var alert: Alert
        var isSilenced: Bool
        /// Of a resolved alert: whether only no further event came.
        var isExpired: Bool
    }

    /// How many sequences are kept.
    static let keptSequences = 10
    /// How many ids are kept.
    static let keptIDs = 8
    /// How many reports may wait to be stored: with more, whole firings are left out, the oldest first.
    static let mostReports = 32

    var phase = Phase.idle
    /// The sequence of the last event that was taken in.
    var sequence: UInt64 = 0
    /// Since when it fires or is pending.
    var since = Timestamp.epoch
    /// When the last event came that counted; for a rule about silence, when the silence began.
    var last = Timestamp.epoch
    /// The times of the newest events that counted, oldest first, as many as the rule counts at most.
    var times: [Timestamp] = []
    /// The sequences of the newest events that counted, oldest first.
    var sequences: [UInt64] = []
    /// How many events counted in this firing.
    var count = 0
    /// The ids of the last firings, the newest last.
    var ids: [String] = []
    /// How bad this firing is.
    var severity = AlertSeverity.warning
    /// What happened, as far as the newest event says.
    var reason = ""
    var repetition = 0
    /// When the last report of this firing was made.
    var reportedAt = Timestamp.epoch
    /// Whether a report of this firing was made for the targets.
    var wasTold = false
    /// Whether a person has acknowledged this firing.
    var isAcknowledged = false
    /// What is to be stored, in this order.
    var reports: [Report] = []

    /// The id of the present or last firing; empty before the first.
    var id: String { ids.last ?? "" }

    /// Begins a firing.
    mutating func begin(_ id: String) {
        phase = .firing
        ids.append(id)
        if ids.count > Self.keptIDs { ids.removeFirst() }
        isAcknowledged = false
    }

    /// Counts an event.
    mutating func count(_ sequence: UInt64, at time: Timestamp, keeping limit: Int) {
        times.append(time)
        if times.count > limit { times.removeFirst(times.count - limit) }
        note(sequence)
        last = max(last, time)
    }

    /// Keeps a sequence.
    mutating func note(_ sequence: UInt64) {
        sequences.append(sequence)
        if sequences.count > Self.keptSequences { sequences.removeFirst() }
    }

    mutating func add(_ report: Report) {
        reports.append(report)
        // Whole firings only: a resolved alert without its firing would be a riddle.
        while reports.count > Self.mostReports, let end = reports.firstIndex(where: { $0.alert.status == .resolved }),
            end < reports.count - 1
        {
            reports.removeFirst(end + 1)
        }
    }

    /// Goes back to a state in which nothing has happened, except that the last firings are known.
    mutating func rest() {
        phase = .idle
        times = []
        sequences = []
        count = 0
        reason = ""
        repetition = 0
        wasTold = false
        isAcknowledged = false
    }
}
