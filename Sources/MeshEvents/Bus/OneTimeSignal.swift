package import MeshConcurrency

extension OneTimeSignal {
    /// Suspends until the signal is sent; returns at once when it has been.
    ///
    /// - Throws: `closed` when the calling task is cancelled.
    package func wait(for purpose: @autoclosure () -> String) async throws(MeshEventsError) {
        do {
            try await wait()
        } catch {
            throw MeshEventsError(.closed, "cancelled while waiting for \(purpose())")
        }
    }

    /// Suspends until the signal is sent; returns at once when it has been.
    ///
    /// - Throws: `timeout` at the deadline, `closed` when the calling task is cancelled.
    package func wait(
        until deadline: ContinuousClock.Instant,
        for purpose: @autoclosure () -> String
    ) async throws(MeshEventsError) {
        if await value(until: deadline) != nil { return }
        guard !Task.isCancelled else {
            throw MeshEventsError(.closed, "cancelled while waiting for \(purpose())")
        }
        throw MeshEventsError(.timeout, "gave up waiting for \(purpose())", isRetriable: true)
    }
}
