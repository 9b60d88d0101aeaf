import LocalNATSServer

/// Restarts a local server when it ends unexpectedly, and gives up when that happens too often.
struct LocalServerSupervision {
    /// At this number of ends within a minute it gives up.
    private static let maximumEnds = 5

    let server: LocalNATSServer?
    let stop: StopRequest

    /// Supervises until the server is stopped on purpose or the task is cancelled.
    func run() async {
        guard let server else { return }
        var ends: [ContinuousClock.Instant] = []
        while let termination = try? await server.termination, !termination.wasRequested, !Task.isCancelled {
            ends = ends.filter { .now - $0 < .seconds(60) } + [.now]
            guard ends.count < Self.maximumEnds else {
                let reason = "nats-server ended \(ends.count) times within a minute: \(termination)"
                stop.stop(.failed(CommandFailure(.unavailable, reason)))
                return
            }
            Diagnostics.say("nats-server ended unexpectedly (it \(termination.reason)); starting it again")
            do {
                try await server.restart()
            } catch {
                guard !Task.isCancelled else { return }
                stop.stop(.failed(CommandFailure(describing: error).prefixed("nats-server cannot be started again: ")))
                return
            }
        }
    }
}
