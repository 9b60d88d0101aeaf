package import MeshEvents

/// The tasks of a session that works while it holds a ``Lease``.
package enum SessionTasks {
    /// Runs tasks until the first of them ends, and throws its error.
    package static func firstEnd(
        _ add: (inout TaskGroup<MeshEventsError?>) -> Void
    ) async throws(MeshEventsError) {
        let failure = await withTaskGroup(of: MeshEventsError?.self) { group in
            add(&group)
            let first = await group.next() ?? nil
            group.cancelAll()
            return first
        }
        if let failure { throw failure }
    }

    /// Carries out something for each element, so many at once.
    package static func failures<Element: Sendable>(
        of elements: [Element],
        atOnce limit: Int,
        _ body: @escaping @Sendable (Element) async throws(MeshEventsError) -> Void
    ) async -> [MeshEventsError] {
        await withTaskGroup(of: MeshEventsError?.self) { group in
            var failures: [MeshEventsError] = []
            for (number, element) in elements.enumerated() {
                if number >= limit, let failure = await group.next() ?? nil { failures.append(failure) }
                group.addTask { await failure { () throws(MeshEventsError) in try await body(element) } }
            }
            for await failure in group { if let failure { failures.append(failure) } }
            return failures
        }
    }

    /// The error that something throws; `nil` when it does not.
    package static func failure(_ body: () async throws(MeshEventsError) -> Void) async -> MeshEventsError? {
        do throws(MeshEventsError) { try await body() } catch { return error }
        return nil
    }

    /// Waits for the end of the session, which another of its tasks decides.
    package static func waitForCancellation() async throws(MeshEventsError) {
        do { try await Task.sleep(for: .seconds(86_400)) } catch {
            throw MeshEventsError(.closed, "the session has ended")
        }
    }
}
