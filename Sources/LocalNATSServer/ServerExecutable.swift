#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Finds the `nats-server` to run.
enum ExecutableSearch {
    static let variable = "MESH_EVENTS_NATS_SERVER"

    /// Where installers put it besides `PATH`: Debian's `/usr/sbin` is not in the `PATH` of ordinary users.
    private static let usualDirectories = ["/usr/sbin", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/bin"]

    /// The path of the executable.
    ///
    /// - Throws: `LocalNATSServerError` with the code `executableNotFound`.
    static func find(
        named path: String?,
        environment: [String: String],
        isExecutable: (String) -> Bool = isExecutableFile
    ) throws(LocalNATSServerError) -> String {
        // When the user named an executable that cannot be run, that is an error: running another would hide the
        // mistake.
        let variable = environment[variable].flatMap { $0.isEmpty ? nil : $0 }
        if let named = path ?? variable {
            guard isExecutable(named) else { throw .executableUnusable(named) }
            return named
        }
        let directories = (environment["PATH"] ?? "").split(separator: ":").map(String.init)
        for directory in directories + usualDirectories {
            let candidate = directory + "/nats-server"
            if isExecutable(candidate) { return candidate }
        }
        throw .executableNotFound(searched: ["PATH"] + usualDirectories)
    }

    static func isExecutableFile(_ path: String) -> Bool {
        var isDirectory = false
        return FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) && !isDirectory
            && FileManager.default.isExecutableFile(atPath: path)
    }
}

/// The version of a `nats-server`.
struct ServerVersion: Comparable, CustomStringConvertible {
    let numbers: [Int]
    let description: String

    /// Reads the first word that looks like a version, as in `nats-server: v2.9.10` or `2.12.0-beta.1`.
    init?(in text: String) {
        for word in text.split(whereSeparator: \.isWhitespace) {
            let word = word.first == "v" ? word.dropFirst() : word
            let parts = word.prefix { $0 != "-" && $0 != "+" }.split(separator: ".", omittingEmptySubsequences: false)
            let numbers = parts.compactMap { Int($0) }
            if numbers.count >= 2, numbers.count == parts.count {
                self.numbers = numbers
                description = String(word)
                return
            }
        }
        return nil
    }

    /// Whether this version knows `sync_interval` (from 2.10); older ones refuse to start with it.
    var knowsSyncInterval: Bool { !numbers.lexicographicallyPrecedes([2, 10]) }

    static func == (a: Self, b: Self) -> Bool { a.numbers == b.numbers }

    static func < (a: Self, b: Self) -> Bool { a.numbers.lexicographicallyPrecedes(b.numbers) }
}
