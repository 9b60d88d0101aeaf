import MeshConcurrency
import MeshEvents

/// Runs an operation and throws when it takes longer than `limit`, even when it does not react to its cancellation.
func within<Value: Sendable>(
    _ what: String,
    limit: Duration = .seconds(60),
    _ operation: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    let completion = OneTimeSignal()
    let box = OutcomeBox<Value>()
    let task = Task {
        let result: Result<Value, any Error>
        do {
            result = .success(try await operation())
        } catch {
            result = .failure(error)
        }
        box.set(result)
        completion.send()
    }
    do {
        try await completion.wait(until: .now + limit, for: what)
    } catch {
        task.cancel()
        throw ConformanceFailure("not done within \(limit): \(what)")
    }
    guard let result = box.get() else { throw ConformanceFailure("no outcome: \(what)") }
    return try result.get()
}

private final class OutcomeBox<Value: Sendable>: Sendable {
    private let outcome = Locked<Result<Value, any Error>?>(nil)

    func set(_ result: Result<Value, any Error>) { outcome.withLock { $0 = result } }
    func get() -> Result<Value, any Error>? { outcome.withLock { $0 } }
}
