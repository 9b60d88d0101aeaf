import ArgumentParser
import Testing

@testable import mesh_events

/// The help of every command.
@Suite struct HelpTests {
    /// Every command with its words.
    private static func commands(
        _ command: any ParsableCommand.Type = MeshEventsCommand.self,
        _ path: [String] = []
    ) -> [(path: [String], configuration: CommandConfiguration)] {
        let configuration = command.configuration
        let path = path + [configuration.commandName ?? ""]
        return [(path, configuration)] + configuration.subcommands.flatMap { commands($0, path) }
    }

    @Test("an example is not broken over lines on a terminal of 80 columns, so that it can be copied")
    func examples() {
        let all = Self.commands()
        #expect(all.count > 40)
        for (path, configuration) in all {
            for line in configuration.discussion.split(separator: "\n") where line.hasPrefix("  ") {
                #expect(line.count < 80, "\(path.joined(separator: " ")): \(line)")
            }
        }
    }

    @Test("every command says in a sentence what it does, and the first ones come first")
    func abstracts() {
        for (path, configuration) in Self.commands() {
            #expect(configuration.abstract.hasSuffix("."), "\(path.joined(separator: " "))")
        }
        let names = MeshEventsCommand.configuration.subcommands.map { $0.configuration.commandName }
        #expect(names.prefix(2) == ["init", "serve"] && Set(names).count == names.count)
    }
}
