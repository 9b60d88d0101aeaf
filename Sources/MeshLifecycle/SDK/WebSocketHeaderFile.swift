import FileReading
import Foundation
package import NATSClient

/// Header fields of the request for a WebSocket, in a file: one a line, as `Authorization: Bearer …`. Empty lines and
/// those that begin with `#` do not count.
package struct WebSocketHeaderFile {
    /// The variable that names such a file.
    package static let variable = "MESH_EVENTS_WS_HEADERS"

    private let path: String

    /// Names a file; it is read by ``fields()``.
    package init(_ path: String) { self.path = path }

    /// The fields in the file that ``variable`` names; none when it is not set.
    ///
    /// - Throws: as ``fields()``.
    package static func fields(in environment: [String: String]) throws(NATSError) -> [String: String] {
        guard let path = environment[variable], !path.isEmpty else { return [:] }
        return try WebSocketHeaderFile(path).fields()
    }

    /// The fields in the file.
    ///
    /// - Throws: `invalidArgument` when the file cannot be read, when others than its owner may read it, or with the
    ///   number of a line that is no field; never with what the line holds.
    package func fields() throws(NATSError) -> [String: String] {
        let contents: RegularFile.Contents
        do throws(RegularFile.Failure) {
            contents = try RegularFile(path, maximumBytes: 65_536).read()
        } catch {
            throw NATSError(
                .invalidArgument,
                "the file of WebSocket headers, \(path), cannot be read: it \(error.problem)"
            )
        }
        guard let text = contents.text else {
            throw NATSError(.invalidArgument, "the file of WebSocket headers, \(path), cannot be read as text")
        }
        guard !contents.isOpenToOthers else {
            throw NATSError(
                .invalidArgument,
                "others may read the file of WebSocket headers, \(path), which may hold a secret: chmod 600 it"
            )
        }
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

    /// A token of RFC 9110.
    private static func isName(_ text: Substring) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy { byte in
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || "!#$%&'*+-.^_`|~".utf8.contains(byte)
            }
    }
}
