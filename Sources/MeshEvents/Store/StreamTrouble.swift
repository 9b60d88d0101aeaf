import MeshConcurrency

/// Tells its owner once when a stream does not answer, and once when it answers again.
///
/// Readers that repeat their requests without end note here what becomes of them. Several readers can share one, each
/// with a number of its own.
package final class StreamTrouble: Sendable {
    /// Is called with the reason when the stream does not answer, and with `nil` when it answers again.
    package typealias Tell = @Sendable (MeshEventsError?) -> Void

    /// How long requests may fail before that is told: a cluster takes some seconds to choose a leader.
    package static let tolerated: Duration = .seconds(10)

    private struct State {
        /// For each reader, since when its requests have failed.
        var failing: [Int: ContinuousClock.Instant] = [:]
        /// The readers that have failed for too long, with the reason.
        var troubles: [Int: MeshEventsError] = [:]
        var tell: Tell?
        var isTold = false
        /// Whether a thread is calling `tell`: calls must not overtake each other.
        var isTelling = false
        var isEnded = false

        var current: MeshEventsError? { troubles.min { $0.key < $1.key }?.value }
    }

    private let state = Locked(State())

    package init() {}

    /// Sets the function to call; calls it at once when the stream does not answer now.
    package func whenTold(_ tell: @escaping Tell) {
        state.withLock { state in
            if !state.isEnded { (state.tell, state.isTold) = (tell, false) }
        }
        tellChange()
    }

    /// Notes that a request has failed and will be repeated.
    ///
    /// - Parameters:
    ///   - began: when the request began.
    ///   - reader: the reader's number.
    package func failed(
        _ error: MeshEventsError,
        since began: ContinuousClock.Instant,
        reader: Int = 0,
        now: ContinuousClock.Instant = .now
    ) {
        state.withLock { state in
            let since = min(state.failing[reader] ?? began, began)
            state.failing[reader] = since
            if now - since >= Self.tolerated { state.troubles[reader] = error }
        }
        tellChange()
    }

    /// Notes that the stream has answered a reader.
    package func answered(reader: Int = 0) { note(nil, reader: reader) }

    /// Notes that the connection is down: its owner reports that, and the time does not count.
    package func pause(reader: Int = 0) {
        state.withLock { state in
            if state.troubles[reader] == nil { state.failing[reader] = nil }
        }
    }

    /// Takes over what a reader was told.
    package func note(_ error: MeshEventsError?, reader: Int) {
        let hasChanged = state.withLock { state in
            if error == nil, state.failing.isEmpty, state.troubles.isEmpty { return false }
            (state.failing[reader], state.troubles[reader]) = (nil, error)
            return true
        }
        if hasChanged { tellChange() }
    }

    /// Tells nothing more: reading has ended.
    package func end() {
        state.withLock { state in
            state = State()
            state.isEnded = true
        }
    }

    private func tellChange() {
        while true {
            let next = state.withLock { state -> (tell: Tell, error: MeshEventsError?)? in
                let error = state.isEnded ? nil : state.current
                guard let tell = state.tell, !state.isTelling, state.isTold != (error != nil) else { return nil }
                (state.isTelling, state.isTold) = (true, error != nil)
                return (tell, error)
            }
            guard let next else { return }
            next.tell(next.error)
            state.withLock { $0.isTelling = false }
        }
    }
}

extension MeshEventsError {
    /// What happened, without the advice behind a semicolon.
    package var reason: String { String(message.prefix { $0 != ";" }) }
}
