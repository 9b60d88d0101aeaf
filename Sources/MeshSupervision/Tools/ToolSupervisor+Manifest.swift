import Logging
import MeshLogging

extension ToolSupervisor {
    /// Applies a changed manifest: removes and changes tools, then installs new ones and starts those with autostart.
    /// Emits an event for each step. An unchanged tool is not touched; a running tool whose configuration changed is
    /// restarted.
    ///
    /// An error with one tool does not stop the work on the others.
    ///
    /// - Returns: The errors, sorted by tool.
    @discardableResult
    public func apply(_ difference: ToolManifest.Difference) async -> [ToolError] {
        // At the same time, because tools may take long to end.
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
        // It is missing when its first installation failed.
        guard self.tool(named: tool.name) != nil else { return try await add(tool) }
        switch change.kind {
        case .update: try await update(tool)
        case .supervision:
            try tool.validate()
            try await withRunner(tool.name) { $0.supervise(by: tool) }
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
