import Logging
import MeshLogging

extension ToolSupervisor {
    /// Makes the tools those of a changed manifest: removes, changes, then installs, and starts new tools that are to
    /// start with the node. What happened goes out as events. A tool that stays as it is is not touched; one whose
    /// configuration changed is started again when it ran.
    ///
    /// Each tool's trouble is its own: the others are still dealt with.
    ///
    /// - Returns: What went wrong.
    @discardableResult
    public func apply(_ difference: ToolManifest.Difference) async -> [ToolError] {
        // At the same time, for tools may take long to end.
        var errors = await withTaskGroup(of: ToolError?.self) { group in
            for name in difference.removed { group.addTask { await Self.error { try await self.remove(name) } } }
            for change in difference.changed { group.addTask { await Self.error { try await self.apply(change) } } }
            return await group.reduce(into: [ToolError]()) { errors, error in
                if let error { errors.append(error) }
            }
        }
        for tool in difference.added {
            if let error = await Self.error({ try await self.add(tool) }) { errors.append(error) }
        }
        for error in errors { context.logger.error("\(error.message)", [.tool: "\(error.tool)"]) }
        return errors.sorted { $0.tool < $1.tool }
    }

    private static func error(_ body: () async throws -> Void) async -> ToolError? {
        do {
            try await body()
            return nil
        } catch {
            return error as? ToolError
        }
    }

    private func add(_ tool: ToolSpecification) async throws(ToolError) {
        try await install(tool)
        if tool.autostart { try await start(tool.name) }
    }

    private func apply(_ change: ToolManifest.Difference.Change) async throws(ToolError) {
        let tool = change.tool
        // Its first installation may have failed.
        guard self.tool(named: tool.name) != nil else { return try await add(tool) }
        switch change.kind {
        case .update: try await update(tool)
        case .supervision: try await withRunner(tool.name) { $0.change { $0 = tool } }
        case .configuration:
            try tool.validate()
            try await withRunner(tool.name) { runner throws(ToolError) in
                runner.change { $0 = tool }
                await runner.announce([self.configured(tool)])
                guard runner.status.state.isActive else { return }
                await runner.stop(reason: "configure")
                try await runner.start()
            }
        }
    }
}
