import Foundation

/// What travels to a node that is to do something with a tool, and back: JSON on `mesh.control.tool.<node>`, outside
/// `events.`, so that nothing of it is stored.
struct ToolControlRequest: Codable, Sendable {
    var action: ToolAction
    var tool: String
}

/// The node's answer: the state of the tool, or why nothing was done.
struct ToolControlAnswer: Codable, Sendable {
    var state: String?
    var error: Failure?

    struct Failure: Codable, Sendable {
        /// One of ``ToolError/Code``, or `invalidRequest`.
        var code: String
        var message: String
    }
}
