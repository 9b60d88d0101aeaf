import MeshConcurrency

extension ToolSupervisor {
    /// Sends a tool's program a signal. Its other processes do not get it.
    ///
    /// It does not wait for other operations on the tool: one that takes long to stop gets it, too.
    ///
    /// - Throws: `notInstalled`, `shutDown`; `notRunning` when there is no process.
    public func signal(_ name: String, _ signal: ToolSignal) async throws(ToolError) {
        let runner = try state.withLock { state throws(ToolError) in
            if state.isShutDown { throw .shutDown(name) }
            guard let runner = state.runners[name] else { throw state.notInstalled(name) }
            return runner
        }
        guard await runner.signal(signal) else {
            throw ToolError(.notRunning, tool: name, "does not run, so it gets no \(signal); start it first")
        }
    }

    /// Has a tool's program read its configuration again: sends it the ``ToolSpecification/reloadSignal``.
    ///
    /// - Throws: As ``signal(_:_:)``.
    public func reload(_ name: String) async throws(ToolError) {
        try await signal(name, specification(of: name)?.reloadSignal ?? .hangup)
    }

    /// What a manifest changes about the tools that are installed now, however they came here.
    public func difference(to manifest: ToolManifest) -> ToolManifest.Difference {
        ToolManifest(tools: specifications).difference(to: manifest)
    }
}
