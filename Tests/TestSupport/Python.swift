import Foundation

/// Another implementation of NATS on the other side: nats-py, which `make setup` installs.
public enum Python {
    /// A Python that has nats-py.
    public static var executable: String {
        ProcessInfo.processInfo.environment["MESH_EVENTS_TEST_PYTHON"]
            ?? NATSServers.packageDirectory + "/.tools/venv/bin/python"
    }

    /// A Python that has others' readers of CloudEvents, JSON Schema and AsyncAPI.
    public static var contracts: String { NATSServers.packageDirectory + "/.tools/contracts/bin/python" }

    /// Starts a script; it finds the server's URL in `URL`.
    public static func start(_ script: String, url: String) throws -> Script {
        try start(script, environment: ["URL": url])
    }

    /// Starts a script with these variables in its environment, besides PATH.
    public static func start(
        _ script: String,
        environment: [String: String],
        _ python: String = executable
    ) throws -> Script {
        guard FileManager.default.isExecutableFile(atPath: python) else {
            throw TestSupportError("There is no \(python): run `Scripts/setup.sh test`.")
        }
        return try Script(python, script, environment)
    }

    /// Runs a script to its end.
    @discardableResult
    public static func run(_ script: String, url: String) async throws -> String {
        try await start(script, url: url).wait()
    }

    /// Runs a script to its end, with these variables in its environment.
    @discardableResult
    public static func run(_ script: String, environment: [String: String], _ python: String) async throws -> String {
        try await start(script, environment: environment, python).wait()
    }

    /// A script that runs; killed with the last reference.
    public final class Script {
        private let process: SpawnedProcess
        private let directory: TemporaryDirectory

        fileprivate init(_ python: String, _ script: String, _ environment: [String: String]) throws {
            directory = try TemporaryDirectory()
            let output = try directory.outputFile("output")
            process = try SpawnedProcess(
                python,
                [try directory.file("script.py", script)],
                environment: environment.merging(["PATH": "/usr/bin:/bin", "PYTHONUNBUFFERED": "1"]) { $1 },
                output: output,
                error: output
            )
        }

        /// What it has printed so far, on both outputs.
        public var output: String { (try? directory.text(of: "output")) ?? "" }

        /// Waits until it has printed a text, or has ended.
        public func waitForOutput(_ text: String) async throws {
            try await eventually(text) { output.contains(text) || !process.isRunning }
        }

        /// Sends it a signal, unless it has ended.
        public func signal(_ number: Int32) { process.signal(number) }

        /// Waits for its end; what it printed.
        ///
        /// - Throws: `TestSupportError` with that when it ends with another code than 0.
        public func wait() async throws -> String {
            try await eventually("a Python script to end") { !process.isRunning }
            guard process.code == 0 else { throw TestSupportError("The script failed: \(output)") }
            return output
        }
    }
}
