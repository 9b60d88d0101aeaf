import Foundation
import TestSupport

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// The fixture tool, run with nothing but an environment.
final class ToolProcess {
    private let process = Process()
    private let directory: TemporaryDirectory

    init(_ environment: [String: String]) throws {
        directory = try TemporaryDirectory()
        process.executableURL = URL(fileURLWithPath: try BuildProducts.executable("mesh-tool-fixture"))
        process.environment = environment
        process.currentDirectoryURL = URL(fileURLWithPath: directory.path)
        process.standardInput = FileHandle.nullDevice
        let output = FileHandle(forWritingAtPath: try directory.file("output", ""))
        process.standardOutput = output
        process.standardError = output
        try process.run()
    }

    deinit {
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
    }

    /// What it has printed so far.
    var output: String { (try? directory.text(of: "output")) ?? "" }

    func signal(_ number: Int32) { kill(process.processIdentifier, number) }

    /// Waits for its end; its exit code, or the negative number of the signal that ended it.
    func wait(within limit: Duration = .seconds(20)) async throws -> Int32 {
        do {
            try await eventually(within: limit, "the tool to end") { !process.isRunning }
        } catch {
            throw TestSupportError("\(error) It printed: \(output)")
        }
        return process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus
    }
}
