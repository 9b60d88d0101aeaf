import NIOCore
import NIOHTTP1

/// Refuses ambiguous requests (RFC 9112, sections 3.2 and 6.3): this server must understand a message in the same way
/// as a proxy in front of it.
final class RequestCheck: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart

    private var isRefused = false

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        // What follows a refused head is not read as a request.
        if isRefused { return }
        if case .head(let head) = unwrapInboundIn(data), !Self.isClear(head) {
            isRefused = true
            // The server answers a parser's error with 400, and closes the connection.
            return context.fireErrorCaught(HTTPParserError.strictModeAssertion)
        }
        context.fireChannelRead(data)
    }

    /// Whether a head has only one meaning: one host, one target, one length.
    static func isClear(_ head: HTTPRequestHead) -> Bool {
        let isOld = head.version != .http1_1
        let hosts = head.headers["host"]
        guard hosts.count == 1 || hosts.isEmpty && isOld, isTarget(head, of: hosts.first ?? "") else { return false }
        let encodings = head.headers["transfer-encoding"]
        let lengths = head.headers["content-length"]
        if !encodings.isEmpty {
            return !isOld && lengths.isEmpty && encodings.count == 1 && encodings[0].lowercased() == "chunked"
        }
        guard let length = lengths.first else { return true }
        return lengths.count == 1 && !length.isEmpty && length.utf8.count < 19
            && length.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    }

    /// Whether the target is a path, `*` for OPTIONS, or a URL of the host in the `Host` header.
    private static func isTarget(_ head: HTTPRequestHead, of host: String) -> Bool {
        if head.uri.hasPrefix("/") { return true }
        if head.uri == "*" { return head.method == .OPTIONS }
        for scheme in ["http://", "https://"] where head.uri.lowercased().hasPrefix(scheme) {
            let authority = head.uri.dropFirst(scheme.count).prefix { $0 != "/" && $0 != "?" && $0 != "#" }
            return !authority.isEmpty && authority.lowercased() == host.lowercased()
        }
        return false
    }
}
