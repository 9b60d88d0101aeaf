import MeshConcurrency

extension ToolSupervisor {
    /// Sends a tool's program a signal. Its other processes do not get it.
    ///
    /// It does not wait for other operations on the tool: one that takes long to stop gets it, too.
    ///
    /// - Throws: `notInstalled`, `shutDown`; `notRunning` when there is no process.
    public func signal(_ name: String, _ signal: ToolSignal) async throws(ToolError) {
        guard try await runner(of: name).signal(signal) else {
            throw ToolError(.notRunning, tool: name, "does not run, so it gets no \(signal); start it first")
        }
    }

    /// Has a tool's program read its configuration again: sends it the ``ToolSpecification/reloadSignal``.
    ///
    /// Without one it is refused. That a program handles a signal cannot be seen from outside: the runtimes of Go and Java
    /// catch `SIGHUP`, and end by it.
    ///
    /// - Throws: As ``signal(_:_:)``; `cannotReload` when the specification names no signal for it.
    public func reload(_ name: String) async throws(ToolError) {
        guard let reloadSignal = try runner(of: name).specification.reloadSignal else { throw .cannotReload(name) }
        try await signal(name, reloadSignal)
    }

    /// What a manifest changes about the tools that are installed now, however they came here.
    public func difference(to manifest: ToolManifest) -> ToolManifest.Difference {
        ToolManifest(tools: specifications).difference(to: manifest)
    }
}
