import MeshEvents
import ServiceLifecycle

/// What a tool does, as a service: cancelled when it is to stop.
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
