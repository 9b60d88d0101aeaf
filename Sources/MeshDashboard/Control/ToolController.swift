import HTTPTypes
public import MeshEvents

/// Controls tools for the page: a port, since the page knows no connection.
public protocol ToolController: Sendable {
    /// Does something with a tool.
    ///
    /// - Parameters:
    ///   - action: what to do.
    ///   - tool: the tool's name.
    ///   - node: the node that runs it.
    ///   - by: who asks: the page, the user where users have names, and which of its sessions.
    /// - Returns: the tool's state afterwards.
    /// - Throws: what asking the node throws: `noResponders`, `serverRefused`, `permissionDenied`, `timeout` …
    func control(
        _ action: PageToolAction,
        tool: String,
        node: String,
        by: String
    ) async throws(MeshEventsError) -> String
}

/// What the page can do with a tool.
public enum PageToolAction: String, Sendable, Hashable, CaseIterable {
    /// Start it.
    case start
    /// Stop it.
    case stop
    /// Stop it and start it.
    case restart
}

/// The body of `POST /api/tools`: what to do with which tool.
struct ControlBody {
    static let maximumSize = 4_096
    private static let maximumName = 512

    let action: PageToolAction
    let tool: String
    let node: String

    /// Reads the body.
    ///
    /// - Throws: `APIError`.
    init(_ body: EventData) throws(APIError) {
        if let unknown = body.keys.first(where: { !["action", "tool", "node"].contains($0) }) {
            throw Self.wrong("a request has action, tool and node, not \(unknown.prefix(100).debugDescription)")
        }
        guard let action = body["action"]?.string.flatMap({ PageToolAction(rawValue: $0) }) else {
            throw Self.wrong("action has to be \(PageToolAction.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        self.action = action
        tool = try Self.name("tool", body)
        node = try Self.name("node", body)
    }

    private static func name(_ key: String, _ body: EventData) throws(APIError) -> String {
        guard let name = body[key]?.string, !name.isEmpty, name.utf8.count <= maximumName else {
            throw wrong("\(key) has to be a name of at most \(maximumName) bytes")
        }
        return name
    }

    private static func wrong(_ message: String) -> APIError { APIError(.badRequest, "invalidArgument", message) }
}

extension Login.Grant {
    /// Who asks, for the event about a request: the page, the user, and which session; that tells nothing of the session's
    /// secrets.
    func name(from peer: PeerAddress) -> String {
        let user = account?.name.map { "user \($0), " } ?? ""
        switch self {
        case .open, .token: return "page, \(user)token, \(peer)"
        case .session(let id, _):
            let session = id.prefix(4).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
            return "page, \(user)session \(session), \(peer)"
        }
    }
}
