// Two nodes of a mesh, in one process to keep it short: one emits, the other hears.
//
//   swift run    (in this directory; needs a nats-server)
import LocalNATSServer
import MeshEvents
import MeshEventsNATS

/// An event of one's own, which travels as `events.user.greeting`.
struct Greeting: EventPayload, Codable {
    static let eventType: EventType = "user.greeting"
    var text: String
    var times: Int
}

// A private server, which ends with this process. In a mesh there is one already: connect to its address.
let server = try await LocalNATSServer.start()
let atticTransport = try await NATSTransport.connect(to: server.url)
let cellarTransport = try await NATSTransport.connect(to: server.url)
let attic = EventBus(transport: atticTransport, node: "attic")
let cellar = EventBus(transport: cellarTransport, node: "cellar")

// When `subscribe` returns, the server has the subscription: nothing emitted from now on is missed.
let everything = try await cellar.subscribe(to: .all)
let greetings = try await cellar.subscribe(to: Greeting.self)
let crashes = try await cellar.subscribe(to: .toolCrashed) { event in
    print("a handler hears of \(event.data["tool"]?.string ?? "?")")
}

try attic.emit(ToolCrashed(tool: "whisper", error: "out of memory", restartCount: 1))
try attic.emit(Greeting(text: "good morning", times: 3))
try attic.emit("user.lamp.switched", ["lamp": "hall", "on": true])
try await attic.flush()

// Draining waits for all that was emitted before: then a handler has seen it, and a sequence ends after it.
try await crashes.drain()
try await greetings.drain()
for try await greeting in greetings {
    print("\(greeting.node) says: \(greeting.text) (\(greeting.times) times)")
}
try await everything.drain()
for try await event in everything {
    print(event.type, event.data)
}

await cellar.close()
do {
    try cellar.emit("user.lamp.switched", ["lamp": "hall", "on": false])
} catch {
    print("after closing: \(error.code)")
}

await atticTransport.close()
await cellarTransport.close()
await server.stop()
