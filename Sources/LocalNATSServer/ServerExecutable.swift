#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Finds the `nats-server` to run.
enum ExecutableSearch {
    static let variable = "MESH_EVENTS_NATS_SERVER"

    /// Where installers put it besides `PATH`: Debian's `/usr/sbin` is not in the `PATH` of ordinary users.
    static let usualDirectories = ["/usr/sbin", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/bin"]

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
