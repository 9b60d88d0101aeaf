public import ServiceLifecycle

extension ToolSupervisor: Service {
    /// Waits for the graceful shutdown of its service group, or for cancellation, and stops all tools then.
    public func run() async throws {
        try? await gracefulShutdown()
        await shutdown()
    }
}
