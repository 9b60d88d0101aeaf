/// The start of a tool that waits for those that it comes after: the task that waits, which its owner ends.
struct ToolWaiting {
    private let watch: StatusWatch
    private let isReady: @Sendable (String) -> Bool
    private var task: Task<Void, Never>?
    /// How often waiting has begun: what arrives late is of an earlier time.
    private var count = 0
    /// The tools that it waits for, those included that are ready by now; empty when it does not wait.
    private(set) var names: [String] = []

    /// - Parameters:
    ///   - watch: wakes it when the state of a tool changes.
    ///   - isReady: whether the tool of this name is ready.
    init(_ watch: StatusWatch, isReady: @escaping @Sendable (String) -> Bool) {
        self.watch = watch
        self.isReady = isReady
    }

    /// Those of the tools that are not ready.
    func missing(_ after: ToolDependencies) -> [String] { after.names.filter { !isReady($0) } }

    /// Begins to wait. Waiting that had begun before must have ended.
    ///
    /// - Parameters:
    ///   - after: what it waits for, and how long.
    ///   - done: called when they are ready or the time is up, with a number for ``take(_:)``; not called when the waiting
    ///     is ended before that.
    mutating func begin(_ after: ToolDependencies, done: @escaping @Sendable (Int) -> Void) {
        count += 1
        names = after.names
        let (watch, isReady, count) = (watch, isReady, count)
        task = Task {
            let outcome = await watch.wait(atMost: after.within) { after.names.allSatisfy(isReady) }
            if outcome != .cancelled { done(count) }
        }
    }

    /// Takes the end of the waiting with this number; `false` when it is of an earlier one, or was ended meanwhile.
    mutating func take(_ number: Int) -> Bool {
        guard task != nil, number == count else { return false }
        (task, names) = (nil, [])
        return true
    }

    /// Ends the waiting.
    ///
    /// - Returns: whether there was any.
    @discardableResult
    mutating func end() async -> Bool {
        guard let task else { return false }
        (self.task, names) = (nil, [])
        task.cancel()
        await task.value
        return true
    }
}
