import MeshConcurrency
import MeshEvents

/// The replays a monitor reads, one for each of its patterns. They are replaced when the stream was gone for a while.
final class MonitorReplays: Sendable {
    private struct State {
        var replays: [ReplaySubscription] = []
        /// How many events the former replays rejected.
        var rejected: UInt64 = 0
        var isCancelled = false
    }

    private let store: any EventStore
    /// Where the state is saved; `nil` for nowhere.
    private let table: (any StateStore)?
    private let limits: MeshState.Limits
    private let replay: EventReplay
    private let patterns: [EventPattern]
    private let state = Locked(State())
    /// Reports when one of the replays does not go on, or new ones cannot be opened.
    let trouble = StreamTrouble()

    init(
        _ store: any EventStore,
        saved table: (any StateStore)?,
        limits: MeshState.Limits,
        _ replay: EventReplay,
        patterns: [EventPattern]
    ) {
        self.store = store
        self.table = table
        self.limits = limits
        self.replay = replay
        self.patterns = patterns
    }

    var current: [ReplaySubscription] { state.withLock { $0.replays } }

    var rejected: UInt64 { state.withLock { state in state.replays.reduce(state.rejected) { $0 + $1.rejected } } }

    /// What the replays begin with.
    struct Beginning: Sendable {
        /// When the stream was created; `nil` when the store cannot tell.
        var created: Timestamp?
        /// What was saved of the events before.
        var saved: SavedMesh?
        /// Why nothing is known of what was saved; `nil` when that is known.
        var failure: MeshEventsError?
    }

    /// Opens the replays, all on the same stream: behind what is saved of it, else at its beginning.
    ///
    /// - Throws: as ``/MeshEvents/EventReplay``.
    func open(timeout: Duration) async throws(MeshEventsError) -> Beginning {
        let created = try await store.state().created
        var beginning = Beginning(created: created)
        if let table {
            do throws(MeshEventsError) {
                beginning.saved = try await SavedMesh.load(from: table, of: store, limits: limits)
            } catch {
                // Without it the stream tells what it still has.
                beginning.failure = error
            }
        }
        let start = beginning.saved?.checkpoint.map { StreamStart.sequence($0.sequence.nextSequence) } ?? .beginning
        var opened: [ReplaySubscription] = []
        for pattern in patterns {
            opened.append(try await replay.open(matching: pattern, from: start, timeout: timeout))
        }
        do throws(MeshEventsError) {
            try StreamPosition.check(try await store.state().created, isOf: created)
        } catch {
            for replay in opened { replay.cancel() }
            throw error
        }
        let (former, isCancelled) = state.withLock { [opened] state in
            let former = state.replays
            state.rejected += former.reduce(0) { $0 + $1.rejected }
            state.replays = opened
            return (former, state.isCancelled)
        }
        for replay in former { replay.cancel() }
        for (number, replay) in opened.enumerated() {
            trouble.note(nil, reader: number)
            replay.whenTroubled { [trouble] in trouble.note($0, reader: number) }
        }
        if isCancelled { cancel() }
        return beginning
    }

    /// Opens new replays as soon as there is a stream again.
    ///
    /// - Throws: errors that are neither retriable nor about the stream; `closed` when the task is cancelled.
    func reopen() async throws(MeshEventsError) -> Beginning {
        var delay = Duration.milliseconds(100)
        let reader = patterns.count
        defer { trouble.answered(reader: reader) }
        while true {
            let begun = ContinuousClock.now
            do throws(MeshEventsError) {
                return try await open(timeout: .seconds(30))
            } catch {
                guard Self.isAboutStream(error) || error.isRetriable else { throw error }
                if error.code != .connectionFailed { trouble.failed(error, since: begun, reader: reader) }
            }
            do {
                try await Task.sleep(for: delay)
            } catch {
                throw MeshEventsError(.closed, "the monitor has been closed")
            }
            delay = min(delay * 2, .seconds(2))
        }
    }

    /// Whether an error says that the stream is gone or another one: then reading can begin anew, now or later.
    static func isAboutStream(_ error: MeshEventsError) -> Bool {
        [.streamNotFound, .streamMismatch, .streamReplaced].contains(error.code)
    }

    /// Ends the replays.
    func cancel() {
        trouble.end()
        let replays = state.withLock { state in
            state.isCancelled = true
            return state.replays
        }
        for replay in replays { replay.cancel() }
    }
}
