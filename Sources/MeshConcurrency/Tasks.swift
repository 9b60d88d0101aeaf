/// Runs `background` beside `body`; when `body` has ended, cancels `background` and waits for its end.
///
/// `background` may end first. It has to react to its cancellation: this function waits for it.
package func withBackgroundTask<Result, Failure: Error>(
    _ background: @escaping @Sendable () async -> Void,
    _ body: () async throws(Failure) -> Result
) async throws(Failure) -> Result {
    let outcome: Swift.Result<Result, Failure> = await withTaskGroup(of: Void.self) { group in
        group.addTask { await background() }
        defer { group.cancelAll() }
        do throws(Failure) {
            return .success(try await body())
        } catch {
            return .failure(error)
        }
    }
    return try outcome.get()
}

/// Runs `body` until it ends or the time is over; then cancels it and waits for its end.
///
/// - Returns: What `body` returns; `nil` when the time was over before, or the calling task was cancelled.
package func within<Result: Sendable>(
    _ time: Duration,
    _ body: @escaping @Sendable () async -> Result
) async -> Result? {
    await withTaskGroup(of: Result?.self) { group in
        group.addTask { await body() }
        group.addTask {
            try? await Task.sleep(for: time)
            return nil
        }
        defer { group.cancelAll() }
        return await group.next() ?? nil
    }
}

/// Runs `body` to its end even when the calling task is cancelled: `body` does not see the cancellation.
package func uncancelled<Result: Sendable, Failure: Error>(
    _ body: @escaping @Sendable () async throws(Failure) -> Result
) async throws(Failure) -> Result {
    // A child task would be cancelled with the caller.
    try await Task { () async -> Swift.Result<Result, Failure> in
        do throws(Failure) {
            return .success(try await body())
        } catch {
            return .failure(error)
        }
    }.value.get()
}
