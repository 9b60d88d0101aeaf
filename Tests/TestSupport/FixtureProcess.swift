import Foundation

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// A built executable, run with nothing but an environment; killed with the last reference.
public final class FixtureProcess {
    private let process: SpawnedProcess
    private let directory: TemporaryDirectory
    private let input = Pipe()

    /// Starts it.
    ///
    /// - Throws: `TestSupportError` when it was not built.
    public init(_ name: String, _ arguments: [String] = [], environment: [String: String]) throws {
        directory = try TemporaryDirectory()
        let output = try directory.outputFile("output")
        process = try SpawnedProcess(
            try BuildProducts.executable(name),
            arguments,
            environment: environment,
            directory: directory.path,
            input: input.fileHandleForReading,
            output: output,
            error: output
        )
        // Its end is the process's alone.
        try input.fileHandleForReading.close()
    }

    /// Its process id.
    public var pid: Int32 { process.pid }

    /// What it has printed so far.
    public var output: String { (try? directory.text(of: "output")) ?? "" }

    /// The lines it has printed so far.
    public var lines: [Substring] { output.split(separator: "\n") }

    /// Sends it a signal.
    public func signal(_ number: Int32) { process.signal(number) }

    /// Writes a line to its standard input.
    public func say(_ line: String) { input.fileHandleForWriting.write(Data((line + "\n").utf8)) }

    /// Closes its standard input.
    public func endInput() { try? input.fileHandleForWriting.close() }

    /// Waits until it has printed a line with this beginning; the rest of that line.
    ///
    /// - Throws: `TestSupportError` with all it has printed when the time is up or it ends first.
    @discardableResult
    public func line(_ beginning: String, within limit: Duration = .seconds(90)) async throws -> String {
        func rest() -> String? {
            lines.last { $0.hasPrefix(beginning) }.map { String($0.dropFirst(beginning.count)) }
        }
        do {
            try await eventually(within: limit, "'\(beginning)' from a fixture") {
                rest() != nil || !process.isRunning
            }
        } catch {
            throw TestSupportError("\(error) It printed: \(output)")
        }
        guard let found = rest() else {
            throw TestSupportError("It ended without '\(beginning)', and printed: \(output)")
        }
        return found
    }

    /// Waits for its end; its exit code, or the negative number of the signal that ended it.
    public func wait(within limit: Duration = .seconds(90)) async throws -> Int32 {
        do {
            try await eventually(within: limit, "the process to end") { !process.isRunning }
        } catch {
            throw TestSupportError("\(error) It printed: \(output)")
        }
        return process.waitUntilExit()
    }
}
