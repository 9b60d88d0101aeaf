// A node with one tool that fails: it is started again, and given up in the end.
//
//   swift run SupervisedTool    (in this directory; needs a nats-server)
import Foundation
import LocalNATSServer
import Logging
import MeshEvents
import MeshEventsNATS
import MeshSupervision

let server = try await LocalNATSServer.start()
let transport = try await NATSTransport.connect(to: server.url)
let bus = EventBus(transport: transport, node: "atelier")
let events = try await bus.subscribe()

// What the tool writes to its outputs goes to this logger.
let logger = Logger(label: "supervised-tool")
let environment = ToolEnvironment(url: server.url, node: "atelier")
let supervisor = ToolSupervisor(environment: environment, logger: logger) { event in
    // In a MeshNode this is `node.emitter.emit`, which stores the events, over an outage too.
    try? bus.emit(event)
}
let directory = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent().path
try await supervisor.install(
    ToolSpecification(
        name: "thermometer",
        version: "1.0.0",
        command: ["\(directory)/thermometer"],
        configuration: ["readings": 2, "api_key": "secret"],
        restart: RestartPolicy(initialDelay: .milliseconds(100), maximumRestarts: 1)
    )
)
try await supervisor.start("thermometer")

for try await event in events {
    print(event.type, event.data)
    if event.type == .toolStopped { break }
}
if let status = supervisor.tool(named: "thermometer") { print("the tool's state is \(status.state.rawValue)") }

await supervisor.shutdown()
await bus.close()
await transport.close()
await server.stop()
