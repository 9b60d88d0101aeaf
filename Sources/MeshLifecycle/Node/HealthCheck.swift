/// A question about a node's health, asked once an interval.
///
/// ```swift
/// node.register(HealthCheck(name: "database") { try await database.ping() })
/// node.register(.freeDisk(at: "/var/lib/mesh", minimumMB: 1024))
/// ```
public struct HealthCheck: Sendable {
    /// Why a check fails, in a few words that everybody in the mesh may read.
    public struct Failure: Error, Sendable, CustomStringConvertible {
        /// The reason.
        public let description: String

        /// Creates a reason.
        public init(_ description: String) { self.description = description }
    }

    /// The name under which a failure is published.
    public let name: String
    /// How long an answer may take before the check counts as failing.
    public let timeout: Duration
    let body: @Sendable () async throws -> Void

    /// Creates a check.
    ///
    /// - Parameters:
    ///   - name: the name under which a failure is published; of two checks with one name the later counts.
    ///   - timeout: how long an answer may take. Default 5 s. After that the task is cancelled; one that does not heed
    ///     this keeps failing, and is not asked again until it has ended.
    ///   - body: returns when all is well, throws when it is not. The description of the error, at most 300 bytes of
    ///     it, is published: it must hold no secret.
    public init(name: String, timeout: Duration = .seconds(5), _ body: @escaping @Sendable () async throws -> Void) {
        self.name = name
        self.timeout = timeout
        self.body = body
    }

    /// Fails while a file system has less free space than asked for.
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

    /// Asks; `nil` when all is well, else why not, in one bounded line.
    func ask() async -> String? {
        do {
            try await body()
            return nil
        } catch {
            return Self.reason("\(error)")
        }
    }

    static func reason(_ text: String) -> String {
        let limit = 300
        // Of a text without end, more than is needed.
        let text = String(text.unicodeScalars.prefix(4_096))
        let line = SecretText.redacted(text.split(whereSeparator: \.isNewline).joined(separator: " "))
        guard line.utf8.count > limit else { return line.isEmpty ? "failed" : line }
        var cut = ""
        for character in line {
            if cut.utf8.count + character.utf8.count > limit { break }
            cut.append(character)
        }
        return cut + "…"
    }
}
