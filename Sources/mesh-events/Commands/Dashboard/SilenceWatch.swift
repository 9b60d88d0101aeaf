import MeshEvents
import NATSClient

/// Detects a silent server: the connection is up, but no data has come for a while although the server was pinged. The
/// connection itself detects this only after minutes, because a slow line does not count as lost.
struct SilenceWatch: Sendable {
    let connection: NATSConnection
    /// The time between two checks; when no data has come between them, the server is pinged.
    var interval: Duration = .seconds(5)
    /// How long no data may come.
    var patience: Duration = .seconds(15)

    /// Watches until the task is cancelled.
    ///
    /// - Parameter tell: is called with the time of the last data when the server is silent, and with `nil` when data
    ///   comes again.
    func run(_ tell: (Timestamp?) -> Void) async {
        var known = connection.receivedBytes
        var heard = (at: ContinuousClock.now, time: Timestamp.now)
        var (isAsked, isTold) = (false, false)
        while (try? await Task.sleep(for: interval)) != nil {
            let received = connection.receivedBytes
            if received != known {
                (known, heard, isAsked) = (received, (.now, .now), false)
                if isTold { tell(nil) }
                isTold = false
            } else if !isAsked {
                isAsked = true
                // Any data counts as an answer, so the result is not used. Without an answer, another ping is useless.
                try? await connection.roundTrip(silence: interval)
            } else if !isTold, .now - heard.at >= patience {
                isTold = true
                tell(heard.time)
            }
        }
    }
}
