#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Finds a tool's program, so that a mistake gets a clear message before a process is started.
enum ToolExecutable {
    /// The path of the program.
    ///
    /// - Throws: `directoryNotFound`, `commandNotFound`, `notExecutable`.
    static func find(_ tool: ToolSpecification, variables: [String: String]) throws(ToolError) -> String {
        if let directory = tool.directory, kind(of: directory) != .directory {
            throw ToolError(.directoryNotFound, tool: tool.name, "its working directory \(directory) is missing")
        }
        let program = tool.command.first ?? ""
        guard program.contains("/") else { return try search(program, tool, variables["PATH"] ?? "/usr/bin:/bin") }
        let path = absolute(program, in: tool.directory)
        switch kind(of: path) {
        case .program: return path
        case .nothing:
            throw ToolError(.commandNotFound, tool: tool.name, "command not found: there is no \(path)")
        case .file:
            let advice = "command not executable: \(path); allow it with chmod +x"
            throw ToolError(.notExecutable, tool: tool.name, advice)
        case .directory:
            throw ToolError(.notExecutable, tool: tool.name, "command not executable: \(path) is a directory")
        }
    }

    private static func search(
        _ program: String,
        _ tool: ToolSpecification,
        _ path: String
    ) throws(ToolError) -> String {
        var unusable: String?
        for directory in path.split(separator: ":", omittingEmptySubsequences: false) {
            // An empty entry means the working directory (POSIX).
            let candidate = absolute(directory.isEmpty ? program : "\(directory)/\(program)", in: tool.directory)
            switch kind(of: candidate) {
            case .program: return candidate
            case .file: unusable = unusable ?? candidate
            case .nothing, .directory: break
            }
        }
        if let unusable {
            let advice = "command not executable: \(unusable); allow it with chmod +x"
            throw ToolError(.notExecutable, tool: tool.name, advice)
        }
        throw ToolError(
            .commandNotFound,
            tool: tool.name,
            "command not found: \(program) is in no directory of PATH; install it, or give its path"
        )
    }

    private static func absolute(_ path: String, in directory: String?) -> String {
        if path.hasPrefix("/") { return path }
        let base = directory ?? "."
        let start = base.hasPrefix("/") ? base : FileManager.default.currentDirectoryPath + "/" + base
        return start + "/" + path
    }

    private enum Kind { case nothing, directory, file, program }

    private static func kind(of path: String) -> Kind {
        var isDirectory = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else { return .nothing }
        if isDirectory { return .directory }
        return FileManager.default.isExecutableFile(atPath: path) ? .program : .file
    }
}
