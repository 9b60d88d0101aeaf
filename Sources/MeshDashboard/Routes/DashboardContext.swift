import Hummingbird
import NIOCore

/// A request, and the connection it came on.
struct DashboardContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    /// To be closed when the browser at its other end is too slow.
    let channel: any Channel
    /// By what the request was let in; `nil` when its route is open to everybody.
    var grant: Login.Grant?

    init(source: ApplicationRequestContextSource) {
        coreContext = CoreRequestContextStorage(source: source)
        channel = source.channel
    }

    /// Who is at the other end.
    var peer: PeerAddress { PeerAddress(channel.remoteAddress) }
}
