import Foundation
import TestSupport

/// Runs shell scripts: curl, openssl and gzip as other programs that know the same formats.
enum Shell {
    /// Runs a script to its end, and keeps no thread waiting meanwhile: what it talks to may run in this process.
    ///
    /// - Parameter variables: set beside PATH.
    /// - Returns: its code, and what it printed on both outputs.
    static func run(_ script: String, _ variables: [String: String] = [:]) async throws -> (code: Int32, text: String) {
        let directory = try TemporaryDirectory()
        let output = FileHandle(forWritingAtPath: try directory.file("output", ""))
        let process = try SpawnedProcess(
            "/bin/sh",
            ["-c", script],
            environment: variables.merging(["PATH": "/usr/bin:/bin"]) { $1 },
            directory: directory.path,
            output: output,
            error: output
        )
        try await eventually("a script to end: \(script)") { !process.isRunning }
        return (process.code ?? -1, try directory.text(of: "output"))
    }

    /// What `gzip` makes of compressed bytes.
    static func decompressed(_ bytes: [UInt8]) async throws -> String {
        let directory = try TemporaryDirectory()
        let file = try directory.file("bytes.gz", "")
        try Data(bytes).write(to: URL(fileURLWithPath: file))
        let (code, text) = try await run("gzip -dc \"$FILE\"", ["FILE": file])
        guard code == 0 else { throw TestSupportError("gzip ended with \(code): \(text.prefix(200))") }
        return text
    }
}
