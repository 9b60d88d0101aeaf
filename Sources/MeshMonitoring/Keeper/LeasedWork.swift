import MeshConcurrency
package import MeshEvents

/// Work for the mesh that is begun again and again: one of several candidates does it at a time, the one with the ``Lease``.
package final class LeasedWork: Sendable {
    /// How many reasons for failures are told.
    private static let mostReasons = 16

    private let reasons = Locked<Set<String>>([])

    package init() {}

    /// Works until the task is cancelled: after a failure that passes it works again, and less and less often when it fails
    /// at once.
    ///
    /// - Parameters:
    ///   - lease: the lease to work with this time.
    ///   - work: waits for the lease, and works until it loses it.
    ///   - onFailure: is called after a failure that passes.
    /// - Throws: the first failure that does not pass.
    package func run(
        _ lease: () -> Lease,
        _ work: (Lease) async throws(MeshEventsError) -> Void,
        onFailure: (MeshEventsError) async -> Void
    ) async throws(MeshEventsError) {
        var pause: Duration?
        while !Task.isCancelled {
            let (lease, begun) = (lease(), ContinuousClock.now)
            let shortest = lease.interval / 5
            do throws(MeshEventsError) {
                try await work(lease)
                pause = nil
            } catch {
                if Task.isCancelled { return }
                guard Self.passes(error) else { throw error }
                await onFailure(error)
                let next = .now - begun > lease.duration * 4 ? shortest : min((pause ?? shortest) * 2, lease.duration)
                pause = next
                try? await Task.sleep(for: next)
            }
        }
    }

    /// Whether a reason for a failure is to be told: each once, and not too many.
    package func isNew(_ error: MeshEventsError) -> Bool {
        reasons.withLock { $0.count < Self.mostReasons && $0.insert(error.message).inserted }
    }

    /// Whether it may be otherwise later, when something is done to the server. Nothing begins ended work again.
    private static func passes(_ error: MeshEventsError) -> Bool {
        let final: [MeshEventsError.Code] = [
            .permissionDenied, .authenticationFailed, .persistenceUnavailable, .closed, .invalidArgument,
            .invalidPattern,
        ]
        return error.isRetriable || !final.contains(error.code)
    }
}
