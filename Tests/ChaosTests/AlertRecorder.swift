import MeshEvents
import Synchronization
import TestSupport

/// The receiver of a schedule: it keeps what it is told, and fails as it is asked to.
final class AlertRecorder: Sendable {
    /// An alert in a request.
    struct Report: Sendable, Hashable {
        var id: String
        var isFiring: Bool
    }

    /// A request that arrived.
    struct Told: Sendable {
        var at: Timestamp
        /// `hook` or `digest`.
        var target: String
        /// The id of the notification.
        var id: String
        var reports: [Report]
        var omitted: Int
        /// Whether the status 200 is sent to it.
        var isAnswered: Bool
    }

    private struct State {
        var receiver: Receiver?
        var fault: AlertSchedule.ReceiverFault?
        var told: [Told] = []
        var problems: [String] = []
    }

    private let state = Mutex(State())

    /// The requests so far, oldest first.
    var told: [Told] { state.withLock { $0.told } }
    /// What arrived and could not be read.
    var problems: [String] { state.withLock { $0.problems } }
    /// Its port.
    var port: Int { state.withLock { $0.receiver?.port ?? 0 } }

    /// Waits for a further request, for a second at most.
    func waitForRequest() async throws {
        let count = state.withLock { $0.told.count }
        let end = ContinuousClock.now + .seconds(1)
        while state.withLock({ $0.told.count }) == count, .now < end {
            try await Task.sleep(for: .milliseconds(1))
        }
    }

    /// Begins to listen.
    func start(port: Int = 0) async throws {
        let receiver = try await Receiver.start(port: port) { [self] in answer($0) }
        state.withLock { $0.receiver = receiver }
    }

    /// Ends.
    func stop() async throws { try await state.withLock { $0.receiver }?.stop() }

    /// Has a fault for a time.
    func suffer(_ step: AlertSchedule.Step<AlertSchedule.ReceiverFault>) async throws {
        state.withLock { $0.fault = step.fault }
        if step.fault == .refuses {
            let port = port
            try await stop()
            try await Task.sleep(for: step.duration)
            try await start(port: port)
        } else {
            try await Task.sleep(for: step.duration)
        }
        state.withLock { $0.fault = nil }
    }

    private func answer(_ request: Receiver.Request) -> Receiver.Answer {
        let target = request.line.split(separator: " ").dropFirst().first?.dropFirst() ?? ""
        return state.withLock { state in
            // Without a fault it is answered with 200; the status counts whatever becomes of the body.
            let isAnswered = [nil, .slow, .resetsBody].contains(state.fault)
            if let told = Self.read(request, String(target), isAnswered) {
                state.told.append(told)
            } else {
                state.problems.append("it got \(request.line) with \(request.text)")
            }
            switch state.fault {
            case nil: return .status(200)
            case .refuses: return .close
            case .hangs: return .hang
            case .resetsHead: return .reset(after: "HTTP/1.1 200 OK\r\nContent-Le")
            case .resetsBody: return .reset(after: "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
            case .tooMany: return .status(429, fields: ["Retry-After: 1"])
            case .fails: return .status(500)
            case .slow: return .late(.milliseconds(300), 200)
            }
        }
    }

    private static func read(_ request: Receiver.Request, _ target: String, _ isAnswered: Bool) -> Told? {
        guard let event = try? EventData(json: request.body), let data = event["data"],
            let id = event["id"]?.string, id == data["id"]?.string, let alerts = data["alerts"]?.array
        else { return nil }
        let reports = alerts.compactMap { alert -> Report? in
            guard let id = alert["id"]?.string, let status = alert["status"]?.string else { return nil }
            return Report(id: id, isFiring: status == "firing")
        }
        guard reports.count == alerts.count, !reports.isEmpty else { return nil }
        return Told(
            at: .now,
            target: target,
            id: id,
            reports: reports,
            omitted: data["omitted"]?.int ?? -1,
            isAnswered: isAnswered
        )
    }
}
