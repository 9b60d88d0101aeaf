import Foundation

/// A file system of a few megabytes, in memory: a disk that is soon full.
public final class SmallDisk: Sendable {
    private let directory: TemporaryDirectory
    /// Where it is mounted.
    public var path: String { directory.path }

    /// Mounts one.
    ///
    /// - Throws: `TestSupportError` when this is not Linux, or mounting is not permitted.
    public init(megabytes: Int) throws {
        directory = try TemporaryDirectory()
        try Self.asRoot(["mount", "-t", "tmpfs", "-o", "size=\(megabytes)m,mode=0777", "tmpfs", directory.path])
    }

    deinit { try? Self.asRoot(["umount", "--lazy", directory.path]) }

    /// Fills it to the last block.
    ///
    /// - Returns: how many bytes that took.
    public func fill() throws -> Int {
        let file = path + "/ballast"
        guard FileManager.default.createFile(atPath: file, contents: nil),
            let handle = FileHandle(forWritingAtPath: file)
        else { throw TestSupportError("There is no room for \(file).") }
        defer { try? handle.close() }
        var written = 0
        for size in [1 << 16, 4096, 1] {
            let block = Data(count: size)
            while (try? handle.write(contentsOf: block)) != nil { written += size }
        }
        return written
    }

    /// Makes room again.
    public func empty() throws { try FileManager.default.removeItem(atPath: path + "/ballast") }

    private static func asRoot(_ command: [String]) throws {
        let arguments = (geteuid() == 0 ? [] : ["sudo", "-n"]) + command
        let (code, text) = try SpawnedProcess.outcome(of: "/usr/bin/env", arguments)
        guard code == 0 else {
            throw TestSupportError(
                "This test needs a small file system and may not make one: \(command.joined(separator: " ")): \(text)"
            )
        }
    }
}
