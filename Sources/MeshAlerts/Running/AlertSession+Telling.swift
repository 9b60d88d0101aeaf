import Logging
import MeshConcurrency
import MeshEvents
import MeshLogging
import MeshMonitoring

extension AlertSession {
    /// Tells a target what it has to be told.
    func deliver(to target: AlertTarget) async throws(MeshEventsError) {
        guard let wake = deliveries[target.name] else { return }
        var isSaved = true
        while !stop.isSent, !Task.isCancelled {
            do throws(MeshEventsError) {
                if !isSaved {
                    try await savePlace(of: target.name)
                    isSaved = true
                }
                let time = now()
                let next = state.withLock { state in
                    state.isCaughtUp ? state.queues[target.name]?.next(time) : nil
                }
                guard let next else {
                    let deadline = state.withLock { $0.isCaughtUp ? $0.queues[target.name]?.nextDeadline : nil }
                    await wake.wait(until: deadline.map { instant(of: $0) } ?? .now + .seconds(3_600))
                    continue
                }
                state.withLock { $0.queues[target.name]?.isTelling = true }
                defer { state.withLock { $0.queues[target.name]?.isTelling = false } }
                // A runner that takes over tells the same again, with the same id, not half of it.
                isSaved = false
                try await savePlace(of: target.name)
                try await tell(target, next)
                try await savePlace(of: target.name)
                isSaved = true
            } catch {
                guard error.isRetriable || [.timeout, .storageFull, .payloadTooLarge].contains(error.code) else {
                    throw error
                }
                runner.tell(error)
                try? await Task.sleep(for: .seconds(1))
            }
        }
        try await SessionTasks.waitForCancellation()
    }

    private func tell(
        _ target: AlertTarget,
        _ next: (batch: TargetQueue.Batch, items: [TargetQueue.Item], omitted: Int)
    ) async throws(MeshEventsError) {
        let notification = AlertNotification(
            id: next.batch.id,
            alerts: next.items.map(\.alert).sortedByWeight,
            omitted: next.omitted,
            page: configuration.page
        )
        guard lease.isHeld else { throw MeshEventsError(.conflict, "another node watches the alerts") }
        let failure = await Self.failure(of: target.notifier, notification)
        let time = now()
        let said = state.withLock { state -> AlertUndelivered? in
            guard let failure else {
                state.queues[target.name]?.delivered(time)
                return nil
            }
            let givenUp = state.queues[target.name]?.givenUp ?? 0
            guard state.queues[target.name]?.refused(failure, time) ?? false, let queue = state.queues[target.name]
            else {
                return nil
            }
            return AlertUndelivered(
                target: target.name,
                reason: failure.message,
                waiting: queue.waiting,
                givenUp: queue.givenUp - givenUp,
                since: queue.place.failingSince ?? time
            )
        }
        if let failure {
            runner.logger.warning("a target was not told", [.target: "\(target.name)", .error: "\(failure)"])
        }
        if let said { try await runner.bus.emit(said) }
    }

    private static func failure(
        of notifier: any AlertNotifier,
        _ notification: AlertNotification
    ) async -> NotificationFailure? {
        do throws(NotificationFailure) {
            _ = try await notifier.notify(notification)
            return nil
        } catch {
            return error
        }
    }

    /// Saves where a target stands.
    func savePlace(of target: String) async throws(MeshEventsError) {
        let place = state.withLock { state in
            state.queues[target]?.settle()
            return state.queues[target]?.place
        }
        guard let place else { return }
        var members: [(String, JSONValue)] = [("name", .string(target))]
        members += (place.json.value.object ?? [:]).map { ($0.key, $0.value) }
        try await write(StateKeys.target(target), EventData(JSONObject(members)))
    }
}

extension [Alert] {
    /// Firing before resolved, worse before less bad, older before newer. Of one firing, the report that it fires comes
    /// first.
    fileprivate var sortedByWeight: [Alert] {
        enumerated().sorted { left, right in
            let (one, other) = (left.element, right.element)
            if (one.status == .firing) != (other.status == .firing) { return one.status == .firing }
            if one.severity != other.severity { return one.severity > other.severity }
            return left.offset < right.offset
        }
        .map(\.element)
    }
}
