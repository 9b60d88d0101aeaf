/// The subjects of requests to nodes and of their answers. They lie outside `events.`, so the stream does not store
/// them.
package enum ControlSubject {
    /// The prefix of the answers' subjects, without the dot at the end. The client that sends a request appends a token
    /// that others cannot guess, and subscribes there. So a node only needs the permission to publish below this
    /// prefix.
    package static let answers = "mesh.control.answer"

    /// The subject on which a node listens for requests about its tools. A node's name may hold characters that a
    /// subject token may not. So every byte that is no letter, digit or `-` is written as `_` and two hexadecimal
    /// digits.
    package static func tools(of node: String) -> String {
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
