import MeshEvents
import NATSClient

/// Notices that a server is silent: the connection is there, it was asked, and nothing has come for a while. The
/// connection itself finds out after minutes, since a slow line is no loss.
struct SilenceWatch: Sendable {
    let connection: NATSConnection
    /// How often it looks; when nothing has come between two looks, the server is asked.
    var interval: Duration = .seconds(5)
    /// How long nothing may come.
    var patience: Duration = .seconds(15)

    /// Watches until the task is cancelled.
    ///
    /// - Parameter tell: hears when something came last while the server is silent, and `nil` when it no longer is.
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
                // The answer is bytes that come, and so is whatever else does; without one, asking again is of no use.
                try? await connection.roundTrip(silence: interval)
            } else if !isTold, .now - heard.at >= patience {
                isTold = true
                tell(heard.time)
            }
        }
    }
}
