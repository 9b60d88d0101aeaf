import MeshEvents
import ServiceLifecycle

/// A tool's body as a service: a graceful shutdown cancels it.
struct ToolWork: Service {
    let body: @Sendable () async throws -> Void

    func run() async throws {
        let stop = Completion()
        do {
            try await withTaskCancellationOrGracefulShutdownHandler {
                try await cancelWhenGracefulShutdown { try await body() }
            } onCancelOrGracefulShutdown: {
                stop.complete()
            }
        } catch {
            guard stop.isComplete, error is CancellationError || (error as? MeshEventsError)?.code == .closed else {
                throw error
            }
        }
    }
}
