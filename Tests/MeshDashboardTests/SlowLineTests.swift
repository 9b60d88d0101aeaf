import MeshEvents
import MeshEventsNATS
import NATSClient
import TestSupport
import Testing

@testable import MeshDashboard

/// A dashboard whose line to the mesh is slow: a browser that was away hears that it is there, and comes further with each
/// connection.
@Suite struct SlowLineTests {
    private static let count = 200

    @Test(arguments: NATSServers.all)
    func whoWasAwayHearsTheTimeAndComesFurtherEachTime(_ binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let direct = try await NATSTransport.connect(configuration(server), logger: quiet)
            let bus = try await PersistentEventBus.open(transport: direct, node: "attic", logger: quiet)
            let text = String(repeating: "x", count: 5_000)
            var last: UInt64 = 0
            for number in 0..<Self.count {
                let data: EventData = ["number": JSONValue(number), "text": .string(text)]
                last = try await bus.emit("user.count", data).sequence
            }
            let created = try await JetStreamStore(direct.connection).state().created
            let port = try #require(configuration(server).servers.first?.port)
            let proxy = try await TCPProxy.start(before: port, pieces: 2_048)
            let transport = try await NATSTransport.connect(configuration(at: proxy.url), logger: quiet)
            let dashboard = try Dashboard(
                store: JetStreamStore(transport.connection),
                configuration: .init(port: 0),
                logger: quiet
            )
            let running = Task { try await dashboard.run() }
            let url = try await dashboard.url()
            let client = HTTPClient(port: try #require(url.split(separator: ":").last.flatMap { Int($0.dropLast()) }))
            try await eventually("the index to be filled") {
                let answer = try await client.get("/api/histogram")
                return try answer.status == 200 && answer.json["complete"]?.bool == true
            }
            func path(_ query: String, after sequence: UInt64) -> String {
                "/api/stream?\(query)after=\(StreamPosition(sequence, created: created).text)"
            }
            let whole = Self.count * text.utf8.count
            let all = path("", after: 1)
            try await withDeadline(.seconds(120), "the time, and the first events") {
                // The first piece alone takes more than ten seconds, the time is told every five.
                proxy.treat { $0.bytesPerSecondDown = 10_000 }
                try await client.listen(all) { reader in
                    var names: Set<String> = []
                    while let message = try await reader.next(), message.name != "time" { names.insert(message.name) }
                    #expect(!names.contains("message") && !names.contains("position"), "\(names)")
                    #expect(reader.lastID == 1)
                    proxy.treat { $0.bytesPerSecondDown = 600_000 }
                    let begun = proxy.down.bytes
                    #expect(try await reader.numbers(1) == [1])
                    #expect(proxy.down.bytes - begun < whole / 2, "it waited for all of them")
                }
            }
            // What does not fit is looked through once, however often the browser comes back.
            var reached: UInt64 = 1
            var isThere = false
            var connections = 0
            while !isThere {
                let (known, newest) = (reached, last)
                let filtered = path("node=zz&", after: known)
                (reached, isThere) = try await withDeadline(.seconds(120), "a place behind \(known)") {
                    try await client.listen(filtered) { reader in
                        while let message = try await reader.next() {
                            if message.name == "position" { return (message.id ?? 0, true) }
                            guard message.name == "time", let id = message.id else { continue }
                            if id > known, id < newest { return (id, false) }
                        }
                        throw TestSupportError("the stream ended behind \(known)")
                    }
                }
                connections += 1
                #expect(reached > known)
            }
            #expect(reached == last)
            #expect(connections > 2, "it came as one piece")
            running.cancel()
            _ = await running.result
            await transport.close()
            await proxy.stop()
            await direct.close()
        }
    }
}
