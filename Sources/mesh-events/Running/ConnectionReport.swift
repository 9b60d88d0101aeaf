import NATSClient

/// Says on standard error when a connection is lost and when it is back.
struct ConnectionReport {
    let connection: NATSConnection
    /// What becomes of events meanwhile.
    var missing = "what others emit meanwhile is not shown"

    /// Reports until the connection is closed or the task is cancelled.
    func run() async {
        for await status in connection.statusUpdates() {
            switch status {
            case .disconnected(let reason, let unconfirmed):
                let lost = unconfirmed == 0 ? "" : "; \(unconfirmed) messages may not have arrived"
                Diagnostics.say(
                    "the connection is lost (\(reason.message))\(lost); connecting again, \(missing)"
                )
            case .reconnected(let address):
                Diagnostics.say("connected again to \(address)")
            case .lameDuck(let address):
                Diagnostics.say("the server \(address) is about to shut down")
            case .serverError(let error):
                Diagnostics.say("the server says: \(error.message)")
            case .connected, .reconnectFailed, .slowConsumer, .closed:
                break
            }
        }
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
