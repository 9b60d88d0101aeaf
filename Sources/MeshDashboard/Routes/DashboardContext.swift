import Hummingbird
import NIOCore

/// A request's context: its connection and what gave it access.
struct DashboardContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    /// The connection; it is closed when the browser is too slow.
    let channel: any Channel
    /// What gave the request access; `nil` when its route needs no login.
    var grant: Login.Grant?

    init(source: ApplicationRequestContextSource) {
        coreContext = CoreRequestContextStorage(source: source)
        channel = source.channel
    }

    /// The client's address.
    var peer: PeerAddress { PeerAddress(channel.remoteAddress) }
}
