import Logging
import MeshConcurrency
import MeshEvents
import MeshLogging

extension ToolSupervisor {
    /// Applies a changed manifest: removes and changes tools, installs new ones, and starts those that are to run. Emits an
    /// event for each step. Tools are stopped before those that they depend on, and started after them.
    ///
    /// An unchanged tool is not touched. A running tool whose program or configuration has changed is restarted. What was
    /// stopped on request stays so; what is down for another reason, since it has failed or was given up, say, is started by
    /// its new specification.
    ///
    /// It returns when all is installed, and stopped or started but for what has to wait for others. That waits by itself:
    /// until they are ready, ``ToolDependencies/within`` is over, or a later change, a request or the shutdown replaces it.
    ///
    /// Another difference must not be applied meanwhile that names the same tools: ``ManifestFollower`` sees to that.
    ///
    /// An error with one tool does not stop the work on the others. A start that fails is repeated as the tool's restart
    /// policy says.
    ///
    /// - Returns: The errors, sorted by tool.
    @discardableResult
    public func apply(_ difference: ToolManifest.Difference) async -> [ToolError] {
        await apply(difference) { _ in }
    }

    /// The same.
    ///
    /// - Parameters:
    ///   - difference: what changes.
    ///   - settled: called for each tool when it is removed, or has its new specification, or cannot get that. It may have
    ///     to be started still: that follows, by the specification that it then has. This returns after all these calls.
    func apply(
        _ difference: ToolManifest.Difference,
        settled: @escaping @Sendable (String) async -> Void
    ) async -> [ToolError] {
        // Each waits, before it is stopped, for those that depend on it by the old manifest; before it is started, for
        // those that it depends on by the new one. So no two wait for each other.
        let names = difference.removed + difference.changed.map(\.tool.name)
        let stops = StopOrder(names.compactMap { specification(of: $0) })
        let errors = await withTaskGroup(of: [ToolError].self) { group in
            group.addTask { await self.removeAndChange(difference, stops, settled) }
            group.addTask { await self.add(difference.added, when: names, stops, settled) }
            return await group.reduce(into: [ToolError]()) { $0 += $1 }
        }
        // That all tools end is no error of one.
        for error in errors where error.code != .shutDown {
            context.logger.error("\(error.message)", [.tool: "\(error.tool)"])
        }
        return errors.sorted { $0.tool < $1.tool }
    }

    /// Removes and changes tools, at the same time, because they may take long to end.
    private func removeAndChange(
        _ difference: ToolManifest.Difference,
        _ stops: StopOrder,
        _ settled: @escaping @Sendable (String) async -> Void
    ) async -> [ToolError] {
        // In a circle, which only a program can make, none waits.
        let waits = StartOrder(difference.changed.map(\.tool) + difference.added).circle.isEmpty
        return await withTaskGroup(of: ToolError?.self) { group in
            for name in difference.removed {
                let turn = Turn(name, stops)
                group.addTask {
                    let error = await Self.error { try await self.remove(name, turn) }
                    // After an error it counts as stopped: others must not wait for it.
                    turn.hasStopped()
                    await settled(name)
                    return error
                }
            }
            for change in difference.changed {
                let turn = Turn(change.tool.name, stops)
                group.addTask {
                    var isWanted = false
                    let error = await Self.error { isWanted = try await self.apply(change, turn) }
                    async let later: Void = settled(change.tool.name)
                    // They may run still, and be about to be stopped. A request is not kept from the tool meanwhile.
                    if isWanted, waits { await stops.wait(for: change.tool.after.names) }
                    let problem =
                        isWanted ? await Self.error { try await self.begin(change.tool.name, waits: waits) } : nil
                    await later
                    return error ?? problem
                }
            }
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

    /// Installs tools, then starts them one after the other, each after those that it depends on; what has to wait for one
    /// keeps no other from starting.
    ///
    /// - Parameters:
    ///   - tools: the new tools.
    ///   - stopped: the tools that have to be stopped before: what is new may need what they have, such as a port.
    ///   - stops: tells when those are stopped.
    ///   - settled: called for each tool when it is installed, or cannot be.
    private func add(
        _ tools: [ToolSpecification],
        when stopped: [String],
        _ stops: StopOrder,
        _ settled: @escaping @Sendable (String) async -> Void
    ) async -> [ToolError] {
        let order = StartOrder(tools)
        var errors: [ToolError] = []
        if let problem = order.problem, let name = order.circle.first {
            let advice = "is in a circle of tools that wait for each other, and is started without waiting: \(problem)"
            errors.append(ToolError(.invalidSpecification, tool: name, advice))
        }
        await withDiscardingTaskGroup { group in
            var installed: [String] = []
            for tool in order.tools {
                if let error = await Self.error({ try await self.install(tool) }) {
                    errors.append(error)
                } else {
                    installed.append(tool.name)
                }
                group.addTask { await settled(tool.name) }
            }
            await stops.wait(for: stopped)
            let waits = order.circle.isEmpty
            // It may have another specification by now.
            for name in installed where specification(of: name)?.startsByItself == true {
                if let error = await Self.error({ try await self.begin(name, waits: waits) }) { errors.append(error) }
            }
        }
        return errors
    }

    /// Starts a tool as its specification says, at its times when it has a schedule, unless it was stopped on request.
    ///
    /// - Parameters:
    ///   - name: the tool's name.
    ///   - waits: whether those that it depends on come first.
    func begin(_ name: String, waits: Bool) async throws(ToolError) {
        do throws(ToolError) {
            try await withRunner(name) { runner throws(ToolError) in
                guard !runner.isStoppedOnRequest else { return }
                try await runner.begin(after: waits ? runner.specification.after : [])
            }
        } catch {
            // It was removed meanwhile, or all tools end: then there is nothing to start.
            guard error.code != .notInstalled, error.code != .shutDown else { return }
            throw error
        }
    }

    /// Stops a tool when it has to be, and changes it.
    ///
    /// - Returns: whether it is to be started.
    private func apply(_ change: ToolManifest.Difference.Change, _ turn: Turn) async throws(ToolError) -> Bool {
        // After an error it counts as stopped, too.
        defer { turn.hasStopped() }
        let tool = change.tool
        // It is missing when its first installation failed.
        guard specification(of: tool.name) != nil else {
            try await install(tool)
            return tool.startsByItself
        }
        try tool.validate()
        return try await withRunner(tool.name) { runner throws(ToolError) in
            switch change.kind {
            case .update: try await replace(runner, by: tool, of: .manifest, turn)
            case .configuration: await configure(runner, by: tool, turn)
            case .supervision: await supervise(runner, by: tool)
            }
        }
    }

    private func configure(_ runner: ToolRunner, by tool: ToolSpecification, _ turn: Turn) async -> Bool {
        let isWanted = runner.isWanted(by: tool, of: .manifest)
        runner.change { $0 = tool }
        await runner.announce([configured(tool)])
        // The next run of one with a schedule has it; the present one goes on.
        guard isWanted, tool.schedule == nil else { return false }
        if runner.status.state.isActive {
            await turn.beforeStop()
            await runner.stop(reason: "configure")
        }
        return true
    }

    private func supervise(_ runner: ToolRunner, by tool: ToolSpecification) async -> Bool {
        let (before, status, isWanted) = (runner.specification, runner.status, runner.isWanted(by: tool, of: .manifest))
        runner.supervise(by: tool)
        if before.schedule != tool.schedule || before.memory != tool.memory { await runner.follow() }
        guard isWanted else { return false }
        // What runs, runs on; what is planned stays so.
        guard tool.schedule == nil else { return status.next == nil }
        switch status.state {
        case .starting, .running, .stopping: return false
        case .installed, .stopped, .backingOff, .failed: return true
        }
    }
}
