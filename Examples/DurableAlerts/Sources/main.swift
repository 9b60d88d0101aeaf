// An alert for every crash, none forgotten: not those of the time when no handler ran, not those that failed at first.
//
//   swift run    (in this directory; needs a nats-server)
import LocalNATSServer
import MeshEvents
import MeshEventsNATS

struct PagerIsBusy: Error, CustomStringConvertible {
    let description = "the pager is busy"
}

let server = try await LocalNATSServer.start()
let transport = try await NATSTransport.connect(to: server.url)
let node = try await PersistentEventBus.open(transport: transport, node: "atelier")

/// The alerting program, one run of it: ends when `count` events are dealt with.
func alerting(until count: UInt64) async throws {
    let persistent = try await PersistentEventBus.open(transport: transport, node: "pager")
    let alerts = try await persistent.subscribe(
        durable: "alerts",
        to: .toolCrashed,
        configuration: .init(redelivery: .init(first: .milliseconds(50)))
    ) { delivery in
        let crash = try delivery.event.payload(as: ToolCrashed.self)
        guard !crash.tool.isEmpty else { throw DeliveryRefusal.terminate("no tool is named") }
        if crash.tool == "flaky", delivery.deliveries < 3 {
            print("delivery \(delivery.deliveries) of \(crash.tool): failed")
            throw PagerIsBusy()  // it comes again
        }
        print("ALERT \(crash.tool) on \(delivery.event.node): \(crash.error)")
    }
    while alerts.acknowledged + alerts.deadLettered < count { try await Task.sleep(for: .milliseconds(10)) }
    print("acknowledged \(alerts.acknowledged), given up \(alerts.deadLettered)")
    await persistent.close()
}

try await node.emit(ToolCrashed(tool: "whisper", error: "out of memory", restartCount: 1))
try await alerting(until: 1)

// No handler runs; the stream and the durable's place in it are.
try await node.emit(ToolCrashed(tool: "flaky", error: "exit code 3", restartCount: 1))
try await alerting(until: 1)

try await node.emit(ToolCrashed(tool: "", error: "?", restartCount: 0))
try await alerting(until: 1)

// What was given up is kept, until it is retried or discarded.
for letter in try await node.deadLetters(of: "alerts") {
    print("dead letter: \(letter.reason) (sequence \(letter.original.sequence))")
}
await node.close()
await transport.close()
await server.stop()
