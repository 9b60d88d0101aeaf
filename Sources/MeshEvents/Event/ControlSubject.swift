/// The subjects of requests to nodes and of the answers, outside `events.`, so that nothing of them is stored.
package enum ControlSubject {
    /// What the answers' subjects begin with, without the dot at the end. Whoever asks appends a token that nobody can
    /// guess, and listens there: so a node needs no more than the right to publish below this.
    package static let answers = "mesh.control.answer"

    /// The subject on which a node listens for requests about its tools. A name can hold what a subject token may not,
    /// so every byte that is no letter, digit or `-` is written as `_` and two hexadecimal digits.
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
