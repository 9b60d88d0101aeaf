// Events that are kept: acknowledged emits, looking back, paging, and a replay that goes on live.
//
//   swift run    (in this directory; needs a nats-server)
import LocalNATSServer
import MeshEvents
import MeshEventsNATS

let server = try await LocalNATSServer.start()
let transport = try await NATSTransport.connect(to: server.url)
let persistent = try await PersistentEventBus.open(transport: transport, node: "atelier")
print("the stream was \(persistent.opening.created ? "created" : "there")")

// One by one, each acknowledged: when it returns, the event is in the stream.
let position = try await persistent.emit(ToolStarted(tool: "trainer"))
print("stored at \(position.sequence)")

// Many: many are under way at once, all are stored, in order, when it returns.
let epochs = (1...100).map { Event("user.training.epoch", data: ["epoch": .init($0)]) }
let positions = try await persistent.emit(contentsOf: epochs)
print("\(positions.count) more, the last at \(positions.last?.sequence ?? 0)")

// The newest that match, oldest first.
for stored in try await persistent.history(matching: .allUser, limit: 2) {
    print("newest: \(stored.sequence) \(stored.event.data)")
}

// Backwards, page by page.
var query: EventHistory.Query? = EventHistory.Query(matching: "user.training.*", limit: 40)
while let next = query {
    let page = try await persistent.history(next)
    if let first = page.events.first, let last = page.events.last {
        print("page: \(first.sequence) to \(last.sequence)")
    }
    query = next.next(after: page)
}

// From a sequence on: first what is stored, then what comes, no gap and no repeat.
let replay = try await persistent.replay(matching: .all, from: .sequence(100))
for try await element in replay {
    switch element {
    case .event(let stored):
        print("replay: \(stored.sequence) \(stored.event.type)")
        if stored.event.type == .toolStopped { replay.cancel() }
    case .gap(let gap):
        print("the stream no longer has \(gap)")
    case .reset(let reset):
        print(reset)
    case .caughtUp:
        print("from here on live")
        try await persistent.emit(ToolStopped(tool: "trainer", reason: "stopped"))
    }
}

await persistent.close()
await transport.close()
await server.stop()
