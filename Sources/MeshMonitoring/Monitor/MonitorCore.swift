import MeshConcurrency
import MeshEvents

/// The state that a monitor's readers and its timer share. It lives until they have ended, slightly longer than the
/// monitor.
final class MonitorCore: Sendable {
    private struct State {
        var mesh: MeshState
        /// The checkpoint with which it began; `nil` when it began with the stream.
        var saved: Checkpoint?
        var time = ServerTime()
        /// How many of the replays still read events that were stored before the start.
        var behind: Int
        /// For each replay, when its stream was created; `epoch` when the store cannot tell.
        var created: [Timestamp]
        var observers: [UInt64: UpdateQueue] = [:]
        var lastObserver: UInt64 = 0
        /// When old nodes and tools were last forgotten, by the server's time.
        var forgotAt = Timestamp.epoch
        /// When the timer fires, by the server's time; `nil` until all replays have caught up.
        var wakeUp: Timestamp?
        var isEnded = false
        var failure: MeshEventsError?
    }

    /// The longest time between two searches for old nodes and tools.
    private static let forgetInterval: Duration = .seconds(3_600)
    /// The shortest time between two: the cost grows with the number of nodes.
    private static let shortestForgetInterval: Duration = .seconds(60)
    /// How much the estimate of the server's time may change before the timer is set again.
    private static let negligible: Duration = .milliseconds(100)

    /// Completes when all stored events have been taken in, and when the monitor ends.
    let isCaughtUp = OneTimeSignal()
    private let configuration: MeshMonitor.Configuration
    private let now: @Sendable () -> Timestamp
    private let timer: DeadlineTimer
    private let state: Locked<State>

    init(
        _ configuration: MeshMonitor.Configuration,
        replays: Int,
        beginning: MonitorReplays.Beginning,
        clock: any Clock<Duration>,
        now: @escaping @Sendable () -> Timestamp
    ) {
        self.configuration = configuration
        self.now = now
        timer = DeadlineTimer(clock: clock)
        state = Locked(
            State(
                mesh: beginning.saved?.mesh ?? MeshState(limits: configuration.limits),
                saved: beginning.saved?.checkpoint,
                behind: replays,
                created: Array(repeating: beginning.created ?? .epoch, count: replays)
            )
        )
    }

    var failure: MeshEventsError? { state.withLock { $0.failure } }

    /// The mesh as it is now.
    var mesh: MeshState {
        let local = now()
        var (mesh, time) = state.withLock { ($0.mesh, $0.time.now(local)) }
        mesh.advance(to: time)
        return mesh
    }

    /// The checkpoint with which the state began; `nil` when it began with the stream.
    var saved: Checkpoint? { state.withLock { $0.saved } }

    // MARK: From the readers

    /// Takes in an element of a replay.
    ///
    /// - Parameter replay: the number of that replay.
    func take(_ element: ReplayElement, from replay: Int) {
        switch element {
        case .event(let stored): take(stored, from: replay)
        case .reset(let reset): take(reset, from: replay)
        // Missing events only leave something unknown, so there is nothing to do.
        case .gap: break
        case .caughtUp:
            let isDone = state.withLock { state in
                state.behind -= 1
                return state.behind == 0
            }
            guard isDone else { return }
            tick()
            isCaughtUp.send()
        }
    }

    /// Handles a replay that goes on with another stream: forgets all nodes, once for all replays.
    private func take(_ reset: ReplayReset, from replay: Int) {
        state.withLock { state in
            // The same stream has lost only its newest events: the earlier ones still hold.
            guard reset.next == 1 else { return }
            let newest = state.created.max() ?? .epoch
            // For a store that cannot tell, the resets are counted.
            state.created[replay] = reset.created ?? state.created[replay].adding(.nanoseconds(1))
            if state.created[replay] > newest { forget(&state) }
        }
    }

    /// Forgets all nodes because all replays begin anew.
    func begin(_ beginning: MonitorReplays.Beginning) {
        state.withLock { state in
            state.created = state.created.map { _ in beginning.created ?? .epoch }
            forget(&state)
            guard let saved = beginning.saved else { return }
            (state.mesh, state.saved) = (saved.mesh, saved.checkpoint)
            guard !state.observers.isEmpty else { return }
            for name in state.mesh.nodeNames {
                Self.tell(.init(node: name, kinds: [.status, .tool]), cause: nil, &state)
            }
        }
    }

    private func forget(_ state: inout State) {
        let former = state.mesh
        (state.mesh, state.saved) = (MeshState(limits: configuration.limits), nil)
        guard !state.observers.isEmpty else { return }
        for name in former.nodeNames {
            guard let node = former.node(name) else { continue }
            let update = MeshUpdate(change: .init(node: name, kinds: .forgotten), node: node, cause: nil)
            for observer in state.observers.values { observer.add(update) }
        }
    }

    private func take(_ stored: StoredEvent, from replay: Int) {
        let local = now()
        let isEarlier = state.withLock { state -> Bool in
            // Another replay already reads the next stream; this one still delivers events of the deleted one.
            guard state.created[replay] == state.created.max() else { return false }
            let change = state.mesh.apply(stored)
            let shift = state.time.observe(stored.storedAt, local: local, isLive: state.behind == 0)
            if let change { Self.tell(change, cause: stored, &state) }
            guard let wakeUp = state.wakeUp else { return false }
            return shift > Self.negligible || state.mesh.nextWakeUp.map { $0 < wakeUp } ?? false
        }
        if isEarlier { tick() }
    }

    /// Ends the timer and all observers, with the error that ended the readers.
    func end(_ error: MeshEventsError?) {
        let observers = state.withLock { state -> [UpdateQueue] in
            guard !state.isEnded else { return [] }
            (state.isEnded, state.failure) = (true, error)
            defer { state.observers = [:] }
            return Array(state.observers.values)
        }
        timer.cancel()
        isCaughtUp.send()
        for observer in observers { observer.finish() }
    }

    // MARK: Time

    /// Moves the time, tells the observers what changed, and sets the timer for the next change.
    private func tick() {
        let mark = timer.mark()
        let local = now()
        state.withLock { state in
            let time = state.time.now(local)
            for change in state.mesh.advance(to: time) { Self.tell(change, cause: nil, &state) }
            if time >= state.forgotAt.adding(Self.shortestForgetInterval) {
                state.mesh.forget(olderThan: time.subtracting(configuration.retention))
                state.forgotAt = time
            }
            let latest = time.adding(Self.forgetInterval)
            state.wakeUp = min(state.mesh.nextWakeUp ?? latest, latest)
        }
        setTimer(local, mark)
    }

    private func setTimer(_ local: Timestamp, _ mark: DeadlineTimer.Mark) {
        var isSetTo: Timestamp?
        while true {
            let (wakeUp, time) = state.withLock { ($0.wakeUp, $0.time.now(local)) }
            // Repeated when another call has changed the wake-up time meanwhile: it may have set the timer first.
            guard let wakeUp, wakeUp != isSetTo else { return }
            timer.set(wakeUp.duration(since: time), after: mark) { [weak self] in self?.tick() }
            isSetTo = wakeUp
        }
    }

    // MARK: Observers

    /// Registers a reader of the changes from now on.
    func observe() -> UpdateReader {
        let queue = UpdateQueue(capacity: configuration.bufferedUpdates, maximumBytes: configuration.bufferedBytes)
        let id = state.withLock { state -> UInt64 in
            guard !state.isEnded else { return 0 }
            state.lastObserver += 1
            state.observers[state.lastObserver] = queue
            return state.lastObserver
        }
        if id == 0 { queue.finish() }
        return UpdateReader(queue: queue) { [weak self] in
            self?.state.withLock { _ = $0.observers.removeValue(forKey: id) }
        }
    }

    /// Passes a change to all observers. Called with the lock held, so that changes keep their order; adding to a queue
    /// does not call back.
    private static func tell(_ change: MeshState.Change, cause: StoredEvent?, _ state: inout State) {
        guard !state.observers.isEmpty, let node = state.mesh.node(change.node) else { return }
        let update = MeshUpdate(change: change, node: node, cause: cause)
        for observer in state.observers.values { observer.add(update) }
    }
}
