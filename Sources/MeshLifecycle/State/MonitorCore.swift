import Locking
import MeshEvents
import Synchronization

/// What a monitor's readers and its timer share. It outlives the monitor by the moment they need to end.
final class MonitorCore: Sendable {
    private struct Observer {
        let continuation: AsyncStream<MeshUpdate>.Continuation
        let missed: MissedUpdates
    }

    private struct State {
        var mesh = MeshState()
        var time = ServerTime()
        /// How many of the replays are still in what was stored before.
        var behind: Int
        var observers: [UInt64: Observer] = [:]
        var lastObserver: UInt64 = 0
        /// When the timer wakes, by the server's time; `nil` before all has been caught up with.
        var wakeUp: Timestamp?
        var isEnded = false
        var failure: MeshEventsError?
    }

    /// How often what is old is looked for.
    private static let forgetInterval: Duration = .seconds(3_600)
    /// How much the server's time may change before the timer is set anew.
    private static let negligible: Duration = .milliseconds(100)

    /// Completes when what was stored has been taken in, and when the monitor ends.
    let isCaughtUp = Completion()
    private let configuration: MeshMonitor.Configuration
    private let now: @Sendable () -> Timestamp
    private let timer: DeadlineTimer
    private let state: Locked<State>

    init(
        _ configuration: MeshMonitor.Configuration,
        replays: Int,
        clock: any Clock<Duration>,
        now: @escaping @Sendable () -> Timestamp
    ) {
        self.configuration = configuration
        self.now = now
        timer = DeadlineTimer(clock: clock)
        state = Locked(State(behind: replays))
    }

    var failure: MeshEventsError? { state.withLock { $0.failure } }

    /// The mesh as it is now.
    var mesh: MeshState {
        let local = now()
        var (mesh, time) = state.withLock { ($0.mesh, $0.time.now(local)) }
        mesh.advance(to: time)
        return mesh
    }

    // MARK: From the readers

    func take(_ element: ReplayElement) {
        switch element {
        case .event(let stored): take(stored)
        // What is missing leaves something unknown, as it does when nothing says that it is missing.
        case .gap: break
        case .caughtUp:
            let isDone = state.withLock { state in
                state.behind -= 1
                return state.behind == 0
            }
            guard isDone else { return }
            tick()
            isCaughtUp.complete()
        }
    }

    private func take(_ stored: StoredEvent) {
        let local = now()
        let isEarlier = state.withLock { state -> Bool in
            let change = state.mesh.apply(stored)
            let shift = state.time.observe(stored.storedAt, local: local, isLive: state.behind == 0)
            if let change { Self.tell(change, cause: stored, &state) }
            guard let wakeUp = state.wakeUp else { return false }
            let deadline = state.mesh.deadline(of: stored.event.node)
            return shift > Self.negligible || deadline.map { $0 < wakeUp } ?? false
        }
        if isEarlier { tick() }
    }

    /// The readers have ended: all ends.
    func end(_ error: MeshEventsError?) {
        let observers = state.withLock { state -> [Observer] in
            guard !state.isEnded else { return [] }
            (state.isEnded, state.failure) = (true, error)
            defer { state.observers = [:] }
            return Array(state.observers.values)
        }
        timer.cancel()
        isCaughtUp.complete()
        for observer in observers { observer.continuation.finish() }
    }

    // MARK: Time

    /// Moves the time, tells what it changed, and sets the timer for the next change.
    private func tick() {
        let mark = timer.mark()
        let local = now()
        state.withLock { state in
            let time = state.time.now(local)
            for change in state.mesh.advance(to: time) { Self.tell(change, cause: nil, &state) }
            state.mesh.forget(olderThan: time.subtracting(configuration.retention))
            let latest = time.adding(Self.forgetInterval)
            state.wakeUp = min(state.mesh.nextDeadline ?? latest, latest)
        }
        setTimer(local, mark)
    }

    private func setTimer(_ local: Timestamp, _ mark: DeadlineTimer.Mark) {
        var isSetTo: Timestamp?
        while true {
            let (wakeUp, time) = state.withLock { ($0.wakeUp, $0.time.now(local)) }
            // Again when another one has moved the time meanwhile: it may have set the timer before.
            guard let wakeUp, wakeUp != isSetTo else { return }
            timer.set(wakeUp.duration(since: time), after: mark) { [weak self] in self?.tick() }
            isSetTo = wakeUp
        }
    }

    // MARK: Observers

    func observe() -> (AsyncStream<MeshUpdate>, MissedUpdates) {
        let (stream, continuation) = AsyncStream.makeStream(
            of: MeshUpdate.self,
            bufferingPolicy: .bufferingNewest(configuration.bufferedUpdates)
        )
        let missed = MissedUpdates()
        let id = state.withLock { state -> UInt64? in
            guard !state.isEnded else { return nil }
            state.lastObserver += 1
            state.observers[state.lastObserver] = Observer(continuation: continuation, missed: missed)
            return state.lastObserver
        }
        if id == nil { continuation.finish() }
        return (stream, missed)
    }

    /// Under the lock, so that changes keep their order. Yielding wakes the reader's task, for which that task is locked; so
    /// nothing that cancelling the task calls may take this lock: a reader that has gone is noticed here.
    private static func tell(_ change: MeshState.Change, cause: StoredEvent?, _ state: inout State) {
        guard !state.observers.isEmpty, let node = state.mesh.node(change.node) else { return }
        let update = MeshUpdate(change: change, node: node, cause: cause)
        for (id, observer) in state.observers {
            switch observer.continuation.yield(update) {
            case .dropped: observer.missed.count.add(1, ordering: .relaxed)
            case .terminated: state.observers[id] = nil
            default: break
            }
        }
    }
}
