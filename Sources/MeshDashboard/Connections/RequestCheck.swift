import NIOCore
import NIOHTTP1

/// Refuses requests that two readers could understand in two ways (RFC 9112, sections 3.2 and 6.3): what this server
/// makes of a message has to be what a proxy in front of it made of it.
final class RequestCheck: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart

    private var isRefused = false

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        // Nothing behind a refused head is a request any more.
        if isRefused { return }
        if case .head(let head) = unwrapInboundIn(data), !Self.isClear(head) {
            isRefused = true
            // The server answers a parser's error with 400, and closes the connection.
            return context.fireErrorCaught(HTTPParserError.strictModeAssertion)
        }
        context.fireChannelRead(data)
    }

    /// Whether a head can be understood in one way only: one host, one target, one length.
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

    /// A path; `*` for OPTIONS; or a URL of the host that is asked.
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
