#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The servers that tests run against: an old and a new one where both are there.
public enum NATSServers {
    /// Names the servers, as paths with colons between them; the Makefile sets it.
    public static let variable = "MESH_EVENTS_TEST_SERVERS"

    /// One `nats-server` executable. Its description is what parameterized tests show.
    public struct Binary: Sendable, Hashable, CustomStringConvertible {
        /// The path of the executable.
        public let path: String
        /// The same.
        public var description: String { path }
    }

    /// Every server to test with: those that `MESH_EVENTS_TEST_SERVERS` names, else the first of `PATH` and
    /// `/usr/sbin`, and the one that `Scripts/setup.sh` put into `.tools/venv`.
    ///
    /// There is always at least one: a test run without a server must fail, so it gets a path that does not exist and
    /// `withServer` says what to install.
    public static let all: [Binary] = {
        let found = paths(environment: ProcessInfo.processInfo.environment)
        return (found.isEmpty ? ["/no/nats-server/found"] : found).map { Binary(path: $0) }
    }()

    /// The first of `all`: for tests that do not depend on the server's version.
    public static var first: Binary { all[0] }

    /// The last of `all`, a current one where `make setup` has run.
    public static var current: Binary { all[all.count - 1] }

    /// The paths to use.
    static func paths(environment: [String: String]) -> [String] {
        let named = (environment[variable] ?? "").split(separator: ":").map(String.init)
        guard named.isEmpty else { return named }
        let directories = (environment["PATH"] ?? "").split(separator: ":").map(String.init)
        let usual = directories + ["/usr/sbin", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/bin"]
        let installed = usual.map { $0 + "/nats-server" }.first { isExecutable($0) }
        let own = packageDirectory + "/.tools/venv/bin/nats-server"
        return (installed.map { [$0] } ?? []) + (isExecutable(own) && own != installed ? [own] : [])
    }

    /// The root of the package: three levels above this file.
    public static let packageDirectory: String =
        #filePath.split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 }

    private static func isExecutable(_ path: String) -> Bool {
        FileManager.default.isExecutableFile(atPath: path)
    }
}
