public import ServiceLifecycle

extension ToolSupervisor: Service {
    /// Waits for the graceful shutdown of its service group, or for cancellation, then stops all tools.
    public func run() async throws {
        try? await gracefulShutdown()
        await shutdown()
    }
}
