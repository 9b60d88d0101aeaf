import Foundation
import ProcessGuard

/// A command that is run for events.
struct EventCommand: Sendable {
    /// A run without success.
    struct Failed: Error, CustomStringConvertible {
        let description: String
    }

    /// The command's name, for messages.
    let name: String
    private let arguments: [String]
    private let command: GroupedCommand

    /// Finds the program.
    ///
    /// - Parameters:
    ///   - command: the program and its arguments.
    ///   - timeout: how long a run may take.
    /// - Throws: `CommandFailure`, usage, when there is no such program.
    init(
        _ command: [String],
        timeout: Duration? = nil,
        searchPath: String = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
    ) throws {
        guard let program = command.first, !program.isEmpty else {
            throw CommandFailure(.usage, "give the command to run for each event after --")
        }
        name = program
        arguments = Array(command.dropFirst())
        do throws(GroupedCommand.Unusable) {
            self.command = try GroupedCommand(program, timeout: timeout, searchPath: searchPath)
        } catch {
            throw CommandFailure(.usage, "the command \(program) \(error)")
        }
    }

    /// Runs the command once; terminates its process group when the task is cancelled or the time is up.
    ///
    /// - Parameters:
    ///   - input: the text for its standard input, which it need not read.
    ///   - environment: variables to add to this process's environment.
    func run(input: String, environment: [String: String]) async -> GroupedCommand.Outcome {
        await command.run(
            arguments,
            input: input,
            environment: .inherited(adding: environment),
            output: .inherited
        )
    }
}
