import FileReading
import Foundation
import MeshEvents
import NATSClient

/// The progress of an import, kept in a file beside the imported one.
struct ImportState: Codable, Equatable, Sendable {
    /// The name of the stream.
    var stream: String
    /// The servers, without a login.
    var server: String
    /// The lines up to this number are stored or blank.
    var lines: Int
    /// The hash over the lines that are stored.
    var hash: String
    /// When the stream was created, RFC 3339: another stream of that name lacks the lines. `nil` in older notes.
    var created: String?
    /// A sequence of the stream; none of the remaining lines is stored at or below it.
    var sequence: UInt64

    /// The servers without their login, for notes: readers of the file must not see a login, and it may change.
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
                "\(path) is no note of an import's progress; delete it to begin anew, or name another with --state"
            )
        }
    }

    /// Writes the state atomically.
    func write(_ path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            try encoder.encode(self).write(to: URL(fileURLWithPath: path), options: .atomic)
        } catch {
            throw CommandFailure(
                .usage,
                "cannot write the import's progress to \(path); name a writable file with --state"
            )
        }
    }
}
