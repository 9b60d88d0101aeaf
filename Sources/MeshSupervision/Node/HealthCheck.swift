import MeshEvents

/// A check of a node's health, run once per interval.
///
/// ```swift
/// node.register(HealthCheck(name: "database") { try await database.ping() })
/// node.register(.freeDisk(at: "/var/lib/mesh", minimumMB: 1024))
/// ```
public struct HealthCheck: Sendable {
    /// Why a check fails, in a few words. All clients in the mesh can read it.
    public struct Failure: Error, Sendable, CustomStringConvertible {
        /// The reason.
        public let description: String

        /// Creates a reason.
        public init(_ description: String) { self.description = description }
    }

    /// The name under which a failure is published.
    public let name: String
    /// How long a run may take before the check counts as failing.
    public let timeout: Duration
    let body: @Sendable () async throws -> Void

    /// Creates a check.
    ///
    /// - Parameters:
    ///   - name: the name under which a failure is published; a later check replaces an earlier one of the same name.
    ///   - timeout: how long a run may take. Default 5 s. After that its task is cancelled. A check that ignores the
    ///     cancellation keeps failing, and is not run again until it has ended.
    ///   - body: returns when all is well, throws when it is not. The error's description, cut to 300 bytes, is
    ///     published: it must hold no secret.
    public init(name: String, timeout: Duration = .seconds(5), _ body: @escaping @Sendable () async throws -> Void) {
        self.name = name
        self.timeout = timeout
        self.body = body
    }

    /// A check that fails while a file system has less free space than `minimumMB`.
    ///
    /// - Parameters:
    ///   - path: anywhere on the file system; it need not exist yet.
    ///   - minimumMB: the least free space, in units of 2²⁰ bytes.
    ///   - name: the check's name. Default `disk`.
    public static func freeDisk(at path: String, minimumMB: Int, name: String = "disk") -> HealthCheck {
        HealthCheck(name: name) {
            guard let free = DiskSpace.freeMB(at: path) else { throw Failure("the free space cannot be read") }
            guard free >= minimumMB else { throw Failure("\(free) MB free, below the \(minimumMB) MB asked for") }
        }
    }

    /// Runs the check; `nil` when all is well, else the reason in one line of at most 300 bytes.
    func ask() async -> String? {
        do {
            try await body()
            return nil
        } catch {
            return Self.reason("\(error)")
        }
    }

    /// A reason in one line of at most 300 bytes, without secrets.
    static func reason(_ text: String, _ redaction: Redaction = Redaction()) -> String {
        // A bound for very long texts, still longer than the result.
        let text = redaction.redact(text.abridged(bytes: 8 << 10))
        let line = text.split(whereSeparator: \.isNewline).joined(separator: " ")
        return line.isEmpty ? "failed" : line.abridged(bytes: 300)
    }
}
