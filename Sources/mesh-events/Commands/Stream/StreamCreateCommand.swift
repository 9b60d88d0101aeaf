import ArgumentParser
import MeshEvents
import MeshEventsNATS

/// `mesh-events stream create`.
struct StreamCreateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create",
        abstract: "Create the stream that keeps the events, unless it exists.",
        usage: "mesh-events stream create [--json]",
        discussion: """
            Without this command, the first node or acknowledged emit creates the stream. Where users have roles \
            (`mesh-events auth`), only admins may create it: once, after the server has been set up. It keeps 24 hours \
            and 10000 events; `mesh-events stream update` changes that.

            EXAMPLES
              mesh-events stream create --nkey admin.nk --tls-ca ca.pem
            """
    )

    @OptionGroup var output: OutputOptions
    @OptionGroup(title: "Server") var connection: ConnectionOptions

    func run() async throws {
        let (opening, report) = try await StreamCommand.withStore(connection) { store in
            (try await store.open(connection.persistence()), try await store.report())
        }
        if !opening.created { Diagnostics.say("the stream \(report.state.name) exists already, and stays unchanged") }
        let lines =
            output.json
            ? [Terminal.output.safe(json: StreamText.json(report))] : StreamText.limits(report.configuration)
        for line in lines { try LineOutput.standard().write(line) }
    }
}
