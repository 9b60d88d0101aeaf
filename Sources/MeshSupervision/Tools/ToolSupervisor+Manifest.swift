import Logging
import MeshConcurrency
import MeshEvents
import MeshLogging

extension ToolSupervisor {
    /// Applies a changed manifest: removes and changes tools, then installs new ones and starts those with autostart.
    /// Emits an event for each step. An unchanged tool is not touched; a running tool whose configuration changed is
    /// restarted. Tools are stopped before those that they depend on, and started after them.
    ///
    /// An error with one tool does not stop the work on the others.
    ///
    /// - Returns: The errors, sorted by tool.
    @discardableResult
    public func apply(_ difference: ToolManifest.Difference) async -> [ToolError] {
        // Each waits, before it is stopped, for those that depend on it by the old manifest; before it is started, for
        // those that it depends on by the new one. So no two wait for each other.
        let names = difference.removed + difference.changed.map(\.tool.name)
        let stops = StopOrder(names.compactMap { specification(of: $0) })
        let stopped = OneTimeSignal()
        let errors = await withTaskGroup(of: [ToolError].self) { group in
            group.addTask {
                await self.stopAndChange(difference, stops, stopped)
            }
            // What is new may need what those that are stopped have, such as a port.
            group.addTask {
                await stopped.uncancelled
                return await self.add(difference.added)
            }
            return await group.reduce(into: [ToolError]()) { $0 += $1 }
        }
        for error in errors { context.logger.error("\(error.message)", [.tool: "\(error.tool)"]) }
        return errors.sorted { $0.tool < $1.tool }
    }

    /// Removes and changes tools, at the same time, because they may take long to end.
    ///
    /// - Parameter stopped: is sent when all of them have stopped, which may be before they are started again.
    private func stopAndChange(
        _ difference: ToolManifest.Difference,
        _ stops: StopOrder,
        _ stopped: OneTimeSignal
    ) async -> [ToolError] {
        await withTaskGroup(of: ToolError?.self) { group in
            for name in difference.removed {
                let turn = Turn(name, stops)
                group.addTask {
                    // After an error it counts as stopped: others must not wait for it.
                    defer { turn.hasStopped() }
                    return await Self.error { try await self.remove(name, turn) }
                }
            }
            let isOrdered = StartOrder(difference.changed.map(\.tool) + difference.added).circle.isEmpty
            for change in difference.changed {
                let tool = change.tool
                let turn = Turn(tool.name, stops) {
                    guard isOrdered else { return }
                    // They may run still, and be about to be stopped.
                    await stops.wait(for: tool.after.names)
                    await self.waitForDependencies(of: tool) { self.state.withLock { !$0.isShutDown } }
                }
                group.addTask {
                    defer { turn.hasStopped() }
                    return await Self.error { try await self.apply(change, turn) }
                }
            }
            await stops.wait(for: difference.removed + difference.changed.map(\.tool.name))
            stopped.send()
            return await group.reduce(into: [ToolError]()) { errors, error in
                if let error { errors.append(error) }
            }
        }
    }

    private static func error(_ body: () async throws -> Void) async -> ToolError? {
        do {
            try await body()
            return nil
        } catch {
            return error as? ToolError
        }
    }

    /// Installs and starts tools one after the other, each after those that it depends on; what has to wait for one keeps
    /// no other from starting.
    private func add(_ tools: [ToolSpecification]) async -> [ToolError] {
        let order = StartOrder(tools)
        var errors: [ToolError] = []
        if let problem = order.problem, let name = order.circle.first {
            let advice = "is in a circle of tools that wait for each other, and is started without waiting: \(problem)"
            errors.append(ToolError(.invalidSpecification, tool: name, advice))
        }
        let waits = order.circle.isEmpty
        return await withTaskGroup(of: ToolError?.self) { group in
            for tool in order.tools {
                if let error = await Self.error({ try await self.install(tool) }) {
                    errors.append(error)
                    continue
                }
                guard tool.autostart else { continue }
                guard waits, !areReady(tool.after.names) else {
                    if let error = await Self.error({ try await self.begin(tool) }) { errors.append(error) }
                    continue
                }
                state.withLock { _ = $0.waiting.insert(tool.name) }
                group.addTask { await Self.error { try await self.beginWhenReady(tool) } }
            }
            return await group.reduce(into: errors) { errors, error in
                if let error { errors.append(error) }
            }
        }
    }

    /// Starts a tool, or plans its first start when it has a schedule.
    private func begin(_ tool: ToolSpecification) async throws(ToolError) {
        try await withRunner(tool.name) { runner throws(ToolError) in
            guard tool.schedule == nil else { return await runner.follow() }
            try await runner.start()
        }
    }

    /// Does it when the tools that it depends on are ready, unless it is started or stopped on request, or removed,
    /// meanwhile. The tool is noted as waiting.
    private func beginWhenReady(_ tool: ToolSpecification) async throws(ToolError) {
        await waitForDependencies(of: tool) { self.state.withLock { $0.waiting.contains(tool.name) } }
        guard cancelWaiting(tool.name), !Task.isCancelled else { return }
        try await begin(tool)
    }

    private func apply(_ change: ToolManifest.Difference.Change, _ turn: Turn) async throws(ToolError) {
        let tool = change.tool
        // It is missing when its first installation failed.
        guard self.tool(named: tool.name) != nil else {
            turn.hasStopped()
            try await install(tool)
            guard tool.autostart else { return }
            state.withLock { _ = $0.waiting.insert(tool.name) }
            return try await beginWhenReady(tool)
        }
        switch change.kind {
        case .update: try await update(tool, turn)
        case .supervision:
            try tool.validate()
            try await withRunner(tool.name) { runner throws(ToolError) in
                let isPlanned = runner.status.next != nil
                let (schedule, memory) = (runner.specification.schedule, runner.specification.memory)
                runner.supervise(by: tool)
                // A plan that was ended on request stays so.
                if isPlanned && schedule != tool.schedule || memory != tool.memory { await runner.follow() }
            }
        case .configuration:
            try tool.validate()
            try await withRunner(tool.name) { runner throws(ToolError) in
                runner.change { $0 = tool }
                await runner.announce([self.configured(tool)])
                // The next run of one with a schedule has it; the present one goes on.
                guard runner.status.state.isActive, tool.schedule == nil else { return }
                await turn.beforeStop()
                await runner.stop(reason: "configure")
                turn.hasStopped()
                await turn.beforeStart()
                try await runner.start()
            }
        }
    }

    // MARK: Tools that wait for others

    /// A start that waits for other tools is no longer wanted.
    ///
    /// - Returns: whether there was one.
    @discardableResult
    func cancelWaiting(_ name: String) -> Bool {
        let wasWaiting = state.withLock { $0.waiting.remove(name) != nil }
        if wasWaiting { context.watch.changed() }
        return wasWaiting
    }

    /// Waits until the tools that a tool depends on are ready, as long as its specification says.
    ///
    /// - Parameter isWanted: whether the tool is still to be started.
    private func waitForDependencies(of tool: ToolSpecification, while isWanted: @Sendable () -> Bool) async {
        let after = tool.after
        guard !areReady(after.names) else { return }
        context.logger.info("waits for \(after.names.joined(separator: ", "))", [.tool: "\(tool.name)"])
        let isOver = await context.watch.wait(atMost: after.within) { areReady(after.names) || !isWanted() }
        guard !isOver, !Task.isCancelled else { return }
        let missing = after.names.filter { !areReady([$0]) }.joined(separator: ", ")
        context.logger.warning(
            "started without \(missing), which was not ready within \(ManifestDuration.text(after.within))",
            [.tool: "\(tool.name)"]
        )
    }

    /// Whether tools are ready. One that is not installed is not.
    private func areReady(_ names: [String]) -> Bool {
        names.allSatisfy { name in state.withLock { $0.runners[name] }?.status.readiness.suffices ?? false }
    }
}
