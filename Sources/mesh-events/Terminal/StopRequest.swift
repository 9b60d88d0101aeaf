import FileReading
import Foundation
import MeshConcurrency
import Synchronization

/// Why a long-running command stops.
enum StopReason: Sendable {
    /// SIGINT, SIGTERM or SIGHUP.
    case signal
    /// The reader of standard output has ended.
    case outputClosed
    /// The time given has passed.
    case timeUp
    /// The result is not wanted any more.
    case cancelled
    /// Something that the command depends on has ended.
    case failed(CommandFailure)
}

/// A request to stop a command. Any task or thread can make it, once; other tasks wait for it.
final class StopRequest: Sendable {
    private struct State {
        var reason: StopReason?
        var waiters: [Int: CheckedContinuation<StopReason?, Never>] = [:]
        var nextWaiter = 0
    }

    private let state = Mutex(State())

    /// Why to stop; `nil` while no stop is requested.
    var reason: StopReason? { state.withLock { $0.reason } }

    /// Requests the stop; the first reason counts.
    func stop(_ reason: StopReason) {
        let waiters = state.withLock { state -> [CheckedContinuation<StopReason?, Never>] in
            guard state.reason == nil else { return [] }
            state.reason = reason
            defer { state.waiters = [:] }
            return Array(state.waiters.values)
        }
        for waiter in waiters { waiter.resume(returning: reason) }
    }

    /// Waits for the request; `nil` when the task is cancelled first.
    func wait() async -> StopReason? {
        let id = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let (isDone, reason) = state.withLock { state -> (Bool, StopReason?) in
                    if state.reason != nil || Task.isCancelled { return (true, state.reason) }
                    state.waiters[id] = continuation
                    return (false, nil)
                }
                if isDone { continuation.resume(returning: reason) }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: id) }?.resume(returning: nil)
        }
    }

    /// Runs `body` until it ends or a stop is requested; then cancels `body` and waits for its end.
    ///
    /// - Returns: What `body` returned; `nil` when it was stopped.
    func race<Result: Sendable>(_ body: @escaping @Sendable () async throws -> Result) async throws -> Result? {
        try await withThrowingTaskGroup(of: Result?.self) { group in
            group.addTask {
                do {
                    return try await body()
                } catch {
                    // The error of a cancelled task does not matter.
                    if self.reason != nil { return nil }
                    throw error
                }
            }
            group.addTask {
                _ = await self.wait()
                return nil
            }
            let first = try await group.next() ?? nil
            group.cancelAll()
            if let first { return first }
            return try await group.next() ?? nil
        }
    }

    /// Runs `body`; when it takes longer than `limit`, requests a stop.
    ///
    /// - Parameter limit: `nil` for no limit.
    func withTimeLimit<Result, Failure: Error>(
        _ limit: Duration?,
        _ body: () async throws(Failure) -> Result
    ) async throws(Failure) -> Result {
        guard let limit else { return try await body() }
        return try await withBackgroundTask(
            { if (try? await Task.sleep(for: limit)) != nil { self.stop(.timeUp) } },
            body
        )
    }
}

/// Detects that the reader of standard output has ended (`mesh-events watch | head -1`) even when nothing is written.
enum OutputWatch {
    static func install(_ stop: StopRequest, descriptor: Int32 = STDOUT_FILENO) {
        guard FileStatus(of: descriptor)?.isPipe == true else { return }
        Thread.detachNewThread {
            while true {
                // A pipe reports its end even when no events are requested.
                var entry = pollfd(fd: descriptor, events: 0, revents: 0)
                let count = poll(&entry, 1, -1)
                if count > 0 {
                    stop.stop(.outputClosed)
                    return
                }
                if count < 0 && errno != EINTR { return }
            }
        }
    }
}
