import NIOCore

/// Calls a closure when the client has closed a connection, or its half of it.
final class CloseNotice: ChannelInboundHandler {
    typealias InboundIn = NIOAny

    private let action: @Sendable () -> Void

    private init(_ action: @escaping @Sendable () -> Void) { self.action = action }

    /// Watches a connection; calls the closure at once when it is closed already.
    static func add(to channel: any Channel, _ action: @escaping @Sendable () -> Void) async throws {
        try await channel.eventLoop.submit {
            try channel.pipeline.syncOperations.addHandler(CloseNotice(action), position: .first)
        }.get()
        if !channel.isActive { action() }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? ChannelEvent, event == .inputClosed { action() }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        action()
        context.fireChannelInactive()
    }
}
