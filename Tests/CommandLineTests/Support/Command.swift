import Foundation
import LocalNATSServer
import TestSupport
import Testing

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// The built `mesh-events`, run as a person runs it: arguments, environment, files and signals.
final class Command {
    /// How a command ended and what it said.
    struct Outcome {
        let code: Int32
        let output: String
        let error: String
        var lines: [String] { output.split(separator: "\n").map(String.init) }
    }

    private let process: SpawnedProcess
    private let directory: TemporaryDirectory
    private let what: String

    /// Starts it, with an environment in which nothing of this machine's counts.
    ///
    /// - Parameters:
    ///   - environment: what is set besides PATH, HOME and TZ (UTC).
    ///   - input: what is on standard input; nothing when `nil`.
    ///   - terminal: a terminal to be its standard output and error, instead of files.
    ///   - asks: whether the terminal is its standard input, too.
    ///   - launcher: a program and its arguments that start it, such as `/usr/bin/nohup`.
    init(
        _ arguments: [String],
        environment: [String: String] = [:],
        input: String? = nil,
        terminal: PseudoTerminal? = nil,
        asks: Bool = false,
        launcher: [String] = []
    ) throws {
        let directory = try TemporaryDirectory()
        self.directory = directory
        let base = ["PATH": "/usr/sbin:/usr/bin:/bin", "HOME": directory.path, "TZ": "UTC"]
        let command = launcher + [try BuildProducts.executable("mesh-events")] + arguments
        what = arguments.joined(separator: " ")
        process = try SpawnedProcess(
            command[0],
            Array(command.dropFirst()),
            environment: base.merging(environment) { $1 },
            directory: directory.path,
            input: try asks ? terminal?.handle : input.map { try Self.open(directory.file("input", $0)) },
            output: try terminal?.handle ?? Self.create(directory.file("output", "")),
            error: try terminal?.handle ?? Self.create(directory.file("error", ""))
        )
    }

    /// What it has printed so far.
    var output: String { (try? directory.text(of: "output")) ?? "" }
    /// What it has said on standard error so far.
    var error: String { (try? directory.text(of: "error")) ?? "" }
    var pid: Int32 { process.pid }
    var isRunning: Bool { process.isRunning }

    func signal(_ number: Int32) { process.signal(number) }

    /// Waits for its end.
    func wait(within limit: Duration = .seconds(90)) async throws -> Outcome {
        do {
            try await eventually(within: limit, "\(what) to end") { !process.isRunning }
        } catch {
            throw TestSupportError("\(error) It printed: \(output) and said: \(self.error)")
        }
        return Outcome(code: process.waitUntilExit(), output: output, error: error)
    }

    /// Waits until it has printed something.
    func waitForOutput(_ text: String, within limit: Duration = .seconds(90)) async throws {
        try await waitFor(text, in: { output }, within: limit)
    }

    /// Waits until it has said something on standard error.
    func waitForError(_ text: String, within limit: Duration = .seconds(90)) async throws {
        try await waitFor(text, in: { error }, within: limit)
    }

    private func waitFor(_ text: String, in place: () -> String, within limit: Duration) async throws {
        do {
            try await eventually(within: limit, text) { place().contains(text) || !process.isRunning }
        } catch {
            throw TestSupportError("\(error) It printed: \(output) and said: \(self.error)")
        }
        guard place().contains(text) else {
            throw TestSupportError("It ended without \(text). It printed: \(output) and said: \(error)")
        }
    }

    /// Runs it to its end.
    static func run(
        _ arguments: [String],
        environment: [String: String] = [:],
        input: String? = nil
    ) async throws -> Outcome {
        try await Command(arguments, environment: environment, input: input).wait()
    }

    /// Stores events of the node `pi`, each a line of JSON.
    static func emit(_ lines: [String], to server: LocalNATSServer) async throws {
        let input = lines.map { $0 + "\n" }.joined()
        let emit = try await run(["emit", "--from", "-", "--node", "pi", "--nats", server.url], input: input)
        #expect(emit.code == 0, "\(emit.error)")
    }

    private static func open(_ path: String) throws -> FileHandle {
        guard let handle = FileHandle(forReadingAtPath: path) else { throw TestSupportError("Cannot open \(path).") }
        return handle
    }

    private static func create(_ path: String) throws -> FileHandle {
        guard let handle = FileHandle(forWritingAtPath: path) else { throw TestSupportError("Cannot open \(path).") }
        return handle
    }
}
