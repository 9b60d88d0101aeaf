import Foundation

/// A home with contexts, as the `nats` tool keeps them.
public struct ContextHome: Sendable {
    /// The home itself.
    public let directory: TemporaryDirectory

    /// Makes one without contexts.
    public init() throws {
        directory = try TemporaryDirectory()
        try FileManager.default.createDirectory(
            atPath: directory.path + "/nats/context",
            withIntermediateDirectories: true
        )
    }

    /// The variables by which it is found.
    public var environment: [String: String] { ["XDG_CONFIG_HOME": directory.path, "HOME": directory.path] }

    /// The path of a context's file.
    public func file(of name: String) -> String { "\(directory.path)/nats/context/\(name).json" }

    /// Saves a context.
    ///
    /// - Parameters:
    ///   - name: its name.
    ///   - json: its fields.
    ///   - mode: the mode of its file.
    public func save(_ name: String, _ json: String, mode: Int = 0o600) throws {
        try directory.file("nats/context/\(name).json", json, mode: mode)
    }

    /// Selects a context.
    public func select(_ name: String) throws { try directory.file("nats/context.txt", name + "\n") }
}
