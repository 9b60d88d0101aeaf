import FileReading
import Foundation
import MeshEvents
import NATSClient

/// How far an import has come, in a file beside the one that is imported.
struct ImportState: Codable, Equatable, Sendable {
    /// The stream it goes into.
    var stream: String
    /// The servers, without a login.
    var server: String
    /// The lines up to this number are stored or blank.
    var lines: Int
    /// The hash over the lines that are stored.
    var hash: String
    /// When the stream was created, RFC 3339: another one of that name does not have the lines. Older notes do not say.
    var created: String?
    /// A sequence of the stream below which none of the other lines is.
    var sequence: UInt64

    /// Servers as a note names them: without a login, which readers of the file are not to learn, and which may change.
    static func server(_ servers: String) -> String {
        let addresses = (try? ServerAddress.list(servers)) ?? []
        return addresses.map(\.description).joined(separator: ",")
    }

    /// Reads a state.
    ///
    /// - Returns: `nil` when there is no file.
    /// - Throws: `CommandFailure`, usage.
    static func read(_ path: String) throws -> ImportState? {
        let bytes: [UInt8]
        do throws(RegularFile.Failure) {
            bytes = try RegularFile(path).read().bytes
        } catch {
            if error.code == .missing { return nil }
            throw CommandFailure(.usage, "the file of --state, \(path), cannot be read: it \(error.problem)")
        }
        do {
            return try JSONDecoder().decode(ImportState.self, from: Data(bytes))
        } catch {
            throw CommandFailure(
                .usage,
                "\(path) does not say how far an import is; delete it to begin anew, or name another with --state"
            )
        }
    }

    /// Writes the state, at once or not at all.
    func write(_ path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            try encoder.encode(self).write(to: URL(fileURLWithPath: path), options: .atomic)
        } catch {
            throw CommandFailure(
                .usage,
                "cannot note in \(path) how far the import is; name a file that can be written with --state"
            )
        }
    }
}
