// An application made of services: a node that joins the mesh and leaves it in good order, and a service of its own.
//
//   swift run    (in this directory; needs a nats-server; Ctrl-C ends it before its time, in the same order)
import LocalNATSServer
import Logging
import MeshEvents
import MeshEventsNATS
import MeshSupervision
import ServiceLifecycle

let logger = Logger(label: "mesh-service")
let server = try await LocalNATSServer.start()
let transport = try await NATSTransport.connect(to: server.url)
let persistent = try await PersistentEventBus.open(transport: transport, node: "atelier")

let node = MeshNode(
    bus: persistent,
    configuration: .init(version: "1.2.0", extras: ["room": "attic"])
)
node.register(.freeDisk(at: "/", minimumMB: 1))

// Services stop in the reverse order: the barometer first, then the node says that it leaves.
let services = ServiceGroup(
    configuration: .init(
        services: [
            .init(service: node),
            .init(
                service: Barometer(node: node, bus: persistent, count: 3),
                successTerminationBehavior: .gracefullyShutdownGroup
            ),
        ],
        gracefulShutdownSignals: [.sigterm, .sigint],
        logger: logger
    )
)
try await services.run()

// What the mesh has seen of it.
for stored in try await persistent.history(limit: 100) where stored.event.type != .nodeHealth {
    switch stored.event.type {
    case .nodeJoined:
        let capabilities = stored.event.data["capabilities"]
        print("node.joined", capabilities?["version"]?.string ?? "", capabilities?["room"]?.string ?? "")
    default:
        print(stored.event.type, stored.event.data)
    }
}
await persistent.close()
await transport.close()
await server.stop()
