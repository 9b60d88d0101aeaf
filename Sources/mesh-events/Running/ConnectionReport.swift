import NATSClient

/// Reports on standard error when a connection is lost and when it is restored.
struct ConnectionReport {
    let connection: NATSConnection
    /// The text about events during the outage.
    var missing = "events from meanwhile are not shown"

    /// Reports until the connection is closed or the task is cancelled.
    func run() async {
        // Limited, because a server can send any number of errors, and end each connection at once.
        var limit = RepeatLimit()
        var changes = RepeatLimit(40)
        var lastFailure: String?
        for await status in connection.statusUpdates() {
            switch status {
            case .disconnected(let reason, let unconfirmed):
                let lost = unconfirmed == 0 ? "" : "; \(unconfirmed) messages may not have arrived"
                say("the connection is lost (\(reason.message))\(lost); connecting again, \(missing)", &changes)
            case .reconnectFailed(_, let error):
                guard error.message != lastFailure else { continue }
                lastFailure = error.message
                say("not connected yet: \(error.message)", &limit)
            case .reconnected(let address):
                lastFailure = nil
                say("connected again to \(address)", &changes)
            case .lameDuck(let address):
                say("the server \(address) is about to shut down", &limit)
            case .serverError(let error):
                say("the server says: \(error.message)", &limit)
            case .connected, .slowConsumer, .closed:
                break
            }
        }
    }

    private func say(_ text: String, _ limit: inout RepeatLimit) {
        guard case .say(let leftOut) = limit.decide() else { return }
        if leftOut > 0 { Diagnostics.say("\(leftOut) more reports were left out") }
        Diagnostics.say(text)
    }
}

extension NATSConnection {
    /// The address of the server it is connected to; `nil` when it is not.
    var currentAddress: ServerAddress? {
        get async {
            for await status in statusUpdates() {
                switch status {
                case .connected(let address), .reconnected(let address): return address
                default: return nil
                }
            }
            return nil
        }
    }
}
