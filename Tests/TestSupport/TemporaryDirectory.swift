public import Foundation

/// A directory for one test, removed when the last reference goes.
public final class TemporaryDirectory: Sendable {
    /// Its path.
    public let path: String

    /// Makes one.
    public init() throws {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("mesh-events-test-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        path = url.path
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// Writes a file into it.
    ///
    /// - Parameter mode: its mode, `0o600` for a secret say; as the process has it when `nil`.
    /// - Returns: The path of the file.
    @discardableResult
    public func file(_ name: String, _ text: String, mode: Int? = nil) throws -> String {
        let file = path + "/" + name
        try Data(text.utf8).write(to: URL(fileURLWithPath: file))
        if let mode { try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: file) }
        return file
    }

    /// Makes an empty file in it, for a program or a test to write into; ``text(of:)`` has what was written.
    public func outputFile(_ name: String = "output") throws -> FileHandle {
        let path = try file(name, "")
        guard let handle = FileHandle(forWritingAtPath: path) else { throw TestSupportError("Cannot open \(path).") }
        return handle
    }

    /// Writes an executable shell script into it.
    ///
    /// - Returns: The path of the script.
    public func script(_ name: String, _ body: String) throws -> String {
        let file = try file(name, "#!/bin/sh\n\(body)\n")
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: file)
        return file
    }

    /// The text of a file in it.
    public func text(of name: String) throws -> String {
        String(decoding: try Data(contentsOf: URL(fileURLWithPath: path + "/" + name)), as: UTF8.self)
    }

    /// Whether there is a file or directory at a path.
    public static func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }
}
