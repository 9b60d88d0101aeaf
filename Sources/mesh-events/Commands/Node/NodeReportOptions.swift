import ArgumentParser
import MeshEvents
import MeshEventsNATS
import MeshMonitoring

/// An event about a node, and the sentence that says what happened.
struct NodeReport: Sendable {
    let payload: any EventPayload
    let text: String
}

/// The options of commands that emit an event about another node.
struct NodeReportOptions: ParsableArguments {
    @OptionGroup var output: OutputOptions
    @OptionGroup(title: "Emitter") var node: NodeOptions
    @OptionGroup(title: "Emitter") var signing: SigningOptions
    @OptionGroup(title: "Server") var connection: ConnectionOptions

    /// Emits an event about a node, and prints what happened when it is stored.
    ///
    /// - Parameters:
    ///   - connectionName: the name of the connection, for the server's reports.
    ///   - name: the node that the event is about.
    ///   - report: what to emit in this mesh.
    /// - Throws: what `report` throws; as emitting with acknowledgement.
    func emit(
        _ connectionName: String,
        about name: String,
        _ report: (MeshState) throws -> NodeReport
    ) async throws {
        guard !name.isEmpty else { throw CommandFailure(.usage, "the node's name must not be empty") }
        let emitter = try node.name()
        let configuration = try signing.busConfiguration()
        let transport = try await connection.connect(name: connectionName)
        let report = try report(try await connection.mesh(transport, nil))
        let event = Event(type(of: report.payload).eventType, node: emitter, data: try report.payload.eventData())
        try await AcknowledgedEmission(connection, transport, configuration).emit(event, json: output.json) { _ in
            report.text
        }
        await transport.close()
    }
}
