import FileReading
import Foundation
package import NATSClient

/// A file with header fields of the request for a WebSocket, one per line, as `Authorization: Bearer …`. Empty lines
/// and lines that begin with `#` are skipped.
package struct WebSocketHeaderFile {
    /// The variable that names such a file.
    package static let variable = "MESH_EVENTS_WS_HEADERS"

    private let path: String

    /// The fields in the file that the option `--ws-headers` names, or else ``variable``; none when neither does.
    ///
    /// - Parameter option: the value of the option; `nil` when it is not given.
    /// - Throws: `invalidArgument` when the file cannot be read, when users other than its owner may read it, or when a
    ///   line is no field. The message then has the line's number, never its text.
    package static func fields(
        _ option: String? = nil,
        in environment: [String: String]
    ) throws(NATSError) -> [String: String] {
        if let option { return try WebSocketHeaderFile(path: option).fields() }
        guard let path = environment[variable], !path.isEmpty else { return [:] }
        return try WebSocketHeaderFile(path: path).fields()
    }

    private func fields() throws(NATSError) -> [String: String] {
        let text = try SecretFile("file of WebSocket headers", path).text()
        var fields: [String: String] = [:]
        let lines = text.split(omittingEmptySubsequences: false) { $0 == "\n" || $0 == "\r\n" }
        for (index, line) in lines.enumerated() {
            let line = line.trimmingCharacters(in: .whitespaces)
            guard !line.isEmpty, !line.hasPrefix("#") else { continue }
            guard let colon = line.firstIndex(of: ":"), Self.isName(line[..<colon]) else {
                throw NATSError(
                    .invalidArgument,
                    "line \(index + 1) of \(path) is no header field: write `Name: value`"
                )
            }
            let value = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
            guard !value.isEmpty, value.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }) else {
                throw NATSError(
                    .invalidArgument,
                    "the value in line \(index + 1) of \(path) is empty or holds control characters"
                )
            }
            fields[String(line[..<colon])] = value
        }
        return fields
    }

    /// Whether the text is a token of RFC 9110.
    private static func isName(_ text: Substring) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy { byte in
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || "!#$%&'*+-.^_`|~".utf8.contains(byte)
            }
    }
}
