import Foundation

/// A request to a node about one of its tools: JSON on `mesh.control.tool.<node>`, outside `events.`, so that it is not
/// stored.
struct ToolControlRequest: Codable, Sendable {
    var action: ToolAction
    var tool: String
}

/// The node's answer: the state of the tool, or the error.
struct ToolControlAnswer: Codable, Sendable {
    var state: String?
    var error: Failure?

    struct Failure: Codable, Sendable {
        /// One of ``ToolError/Code``, `invalidRequest` or `busy`.
        var code: String
        var message: String
    }
}
