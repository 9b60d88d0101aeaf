import Foundation

/// What travels to a node that is to do something with a tool, and back: JSON on `mesh.control.tool.<node>`, outside
/// `events.`, so that nothing of it is stored.
struct ToolControlRequest: Codable, Sendable {
    var action: ToolAction
    var tool: String

    /// The subject on which a node listens. A name can hold what a subject token may not, so every byte that is no
    /// letter, digit or `-` is written as `_` and two hexadecimal digits.
    static func subject(node: String) -> String {
        var token = ""
        for byte in node.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"):
                token.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                token += "_" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }
        }
        return "mesh.control.tool." + (token.isEmpty ? "_" : token)
    }
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
