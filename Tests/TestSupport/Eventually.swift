/// Waits until `condition` holds, looking every 5 milliseconds.
///
/// - Parameters:
///   - limit: How long it may take; a long limit costs nothing where the condition holds soon, and a busy machine needs it.
///   - what: What is waited for, as it should stand after "waited for".
/// - Throws: `TestSupportError` when the time is up, else what `condition` throws.
public func eventually(
    within limit: Duration = .seconds(60),
    _ what: String,
    _ condition: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + limit
    while true {
        if try await condition() { return }
        guard ContinuousClock.now < deadline else {
            throw TestSupportError("Waited \(limit) in vain for \(what).")
        }
        try await Task.sleep(for: .milliseconds(5))
    }
}

/// Waits until a count reaches `aim`, as long as it grows: a busy machine takes its time, and what stands still fails.
///
/// - Parameters:
///   - limit: how long the count may stand still.
///   - what: what is waited for, as it should stand after "waited for".
///   - aim: the count that is enough.
///   - count: the count; what it throws while a server is away counts as no progress.
/// - Throws: `TestSupportError` when the count has stood still for `limit`.
public func eventually<Count: Comparable>(
    within limit: Duration = .seconds(60),
    _ what: String,
    reaches aim: Count,
    _ count: () async throws -> Count
) async throws {
    var last: Count?
    var deadline = ContinuousClock.now + limit
    while true {
        let now = try? await count()
        if let now, now >= aim { return }
        if let now, now != last { (last, deadline) = (now, ContinuousClock.now + limit) }
        guard ContinuousClock.now < deadline else {
            let stood = last.map { "it has stood at \($0)" } ?? "there was no answer"
            throw TestSupportError("Waited in vain for \(what), \(aim): \(stood) for \(limit).")
        }
        try await Task.sleep(for: .milliseconds(5))
    }
}

/// Runs `body` and fails when it takes longer than `limit`; `body` is cancelled then, and has to heed that.
///
/// - Throws: `TestSupportError` when the time is up, else what `body` throws.
public func withDeadline<Result: Sendable>(
    _ limit: Duration = .seconds(60),
    _ what: String,
    _ body: @escaping @Sendable () async throws -> Result
) async throws -> Result {
    try await withThrowingTaskGroup(of: Result?.self) { group in
        group.addTask { try await body() }
        group.addTask {
            try await Task.sleep(for: limit)
            return nil
        }
        defer { group.cancelAll() }
        guard let first = try await group.next(), let result = first else {
            throw TestSupportError("Waited \(limit) in vain for \(what).")
        }
        return result
    }
}

/// The error that `body` throws; `nil` when it throws none.
public func thrownError<Failure: Error>(_ body: () async throws(Failure) -> Void) async -> Failure? {
    do throws(Failure) {
        try await body()
        return nil
    } catch {
        return error
    }
}
