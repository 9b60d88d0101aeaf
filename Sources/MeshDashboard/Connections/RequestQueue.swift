import NIOCore
import NIOHTTP1

/// Passes on one request of a connection at a time. The next one follows when the previous answer has been written and
/// the client has taken it, except for what the socket and one buffer hold.
///
/// A client may send many requests at once (RFC 9112, section 9.3.2) without reading a single answer. This queue holds
/// requests, not answers; a client that sends more than ``maximumWaiting`` ahead is disconnected.
///
/// It also ends a connection that can have no further request: after the answer to HTTP/1.0, whose clients do not know
/// chunks and read until the end, and after an answer that was written before the whole request had arrived.
final class RequestQueue: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    /// How many requests may wait behind the one that is answered.
    static let maximumWaiting = 32
    /// How long a client may take to read the last answer and close. An immediate close could lose the answer.
    private static let linger = TimeAmount.seconds(2)

    /// The progress of the request that was passed on last.
    private struct Current {
        var version = HTTPVersion.http1_1
        var isRead = true
        var isAnswered = true
    }

    private var current = Current()
    private var waiting: [HTTPServerRequestPart] = []
    private var waitingHeads = 0
    /// Whether the client has closed its half after the waiting requests.
    private var isInputClosed = false
    /// The parser's error in the data after the waiting requests.
    private var problem: (any Error)?
    private var isReadDue = false
    /// Whether no further request is answered.
    private var isLast = false

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if isLast { return }
        let part = unwrapInboundIn(data)
        guard case .head = part else { return waiting.isEmpty ? handOn(part, context) : waiting.append(part) }
        if waiting.isEmpty, isFree(context) { return handOn(part, context) }
        guard waitingHeads < Self.maximumWaiting else {
            isLast = true
            dropWaiting()
            return context.close(promise: nil)
        }
        waitingHeads += 1
        waiting.append(part)
    }

    func read(context: ChannelHandlerContext) {
        if waiting.isEmpty { context.read() } else { isReadDue = true }
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(var head):
            if head.status.code < 200 {
                // The answer itself follows.
            } else if current.version != .http1_1 {
                isLast = true
                // Without chunks, the end of the connection marks the end of the answer.
                head.version = .http1_0
            } else if !current.isRead {
                isLast = true
            }
            if isLast { head.headers.replaceOrAdd(name: "connection", value: "close") }
            context.write(wrapOutboundOut(.head(head)), promise: promise)
        case .body: context.write(data, promise: promise)
        case .end:
            current.isAnswered = true
            context.write(data, promise: promise)
            if isLast { end(context) } else { handOnNext(context) }
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        handOnNext(context)
        context.fireChannelWritabilityChanged()
    }

    func channelInactive(context: ChannelHandlerContext) {
        dropWaiting()
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if !waiting.isEmpty, let event = event as? ChannelEvent, event == .inputClosed {
            isInputClosed = true
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if waiting.isEmpty { context.fireErrorCaught(error) } else { problem = error }
    }

    private func isFree(_ context: ChannelHandlerContext) -> Bool {
        current.isAnswered && current.isRead && context.channel.isWritable
    }

    private func handOn(_ part: HTTPServerRequestPart, _ context: ChannelHandlerContext) {
        switch part {
        case .head(let head): current = Current(version: head.version, isRead: false, isAnswered: false)
        case .body: break
        case .end: current.isRead = true
        }
        context.fireChannelRead(wrapInboundOut(part))
    }

    /// Passes on the next waiting request; after the last one also the error, end of input or read that came after it.
    private func handOnNext(_ context: ChannelHandlerContext) {
        guard !waiting.isEmpty, isFree(context) else { return }
        // Up to the head of the next request.
        let end = waiting.dropFirst().firstIndex { if case .head = $0 { true } else { false } } ?? waiting.endIndex
        let parts = waiting[..<end]
        waiting.removeSubrange(..<end)
        waitingHeads -= 1
        for part in parts { handOn(part, context) }
        context.fireChannelReadComplete()
        guard waiting.isEmpty else { return }
        if let problem {
            self.problem = nil
            context.fireErrorCaught(problem)
        }
        if isInputClosed { context.fireUserInboundEventTriggered(ChannelEvent.inputClosed) }
        if isReadDue {
            isReadDue = false
            context.read()
        }
    }

    private func end(_ context: ChannelHandlerContext) {
        dropWaiting()
        context.flush()
        let channel = context.channel
        channel.close(mode: .output, promise: nil)
        channel.eventLoop.scheduleTask(in: Self.linger) { channel.close(promise: nil) }
    }

    private func dropWaiting() {
        waiting = []
        waitingHeads = 0
    }
}
