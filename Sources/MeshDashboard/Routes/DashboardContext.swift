import Hummingbird
import NIOCore

/// A request, and the connection it came on.
struct DashboardContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    /// To be closed when the browser at its other end is too slow.
    let channel: any Channel

    init(source: ApplicationRequestContextSource) {
        coreContext = CoreRequestContextStorage(source: source)
        channel = source.channel
    }
}
