import LocalNATSServer
import NATSClient
import NIOCore
import TestSupport
import Testing

/// Requests, flushes, publishing and status of one client, from many tasks, while its connection is cut and closed.
@Suite("Races of the client", .timeLimit(.minutes(5)))
struct RequestRaceTests {
    @Test("requests end once each, with their own answer or an error, over cuts, cancellations and the close")
    func requests() async throws {
        try await withServer(NATSServers.first, .init(jetStream: false)) { server in
            let service = try await connect(server)
            let questions = try await service.subscribe(to: "echo")
            let echo = Task {
                for try await question in questions {
                    if let reply = question.replyTo { try service.publish(question.payload, to: reply) }
                }
            }
            let proxy = try await TCPProxy.start(before: server.port)
            let client = try await connect(at: proxy.url)
            let cutting = Task {
                while !Task.isCancelled {
                    try await Task.sleep(for: .milliseconds(70))
                    proxy.cut()
                }
            }
            let statuses = Task { await client.statusUpdates().reduce(0) { count, _ in count + 1 } }
            let answered = Counter()
            let failed = Counter()
            let asking = (0..<8).map { worker in
                Task {
                    for round in 0..<150 {
                        let text = "\(worker).\(round)"
                        let request = Task { () throws(NATSError) in
                            try await client.request(ByteBuffer(string: text), to: "echo", timeout: .seconds(2))
                        }
                        if round.isMultiple(of: 5) { request.cancel() }
                        switch await request.result {
                        case .success(let answer):
                            #expect(String(buffer: answer.payload) == text)
                            answered.add()
                        case .failure:
                            failed.add()
                        }
                        if worker == 0 { try? await client.flush(timeout: .seconds(2)) }
                    }
                }
            }
            try await withDeadline(.seconds(240), "1 200 requests to end") {
                for task in asking { await task.value }
            }
            #expect(answered.count + failed.count == 1_200)
            #expect(answered.count > 100)
            #expect(proxy.cuts > 0)
            cutting.cancel()
            _ = await cutting.result
            // What is under way when it is closed ends too.
            let last = (0..<50).map { _ in
                Task { () throws(NATSError) in try await client.request(to: "nobody.\(server.port)") }
            }
            await client.close()
            try await withDeadline(.seconds(10), "the last requests and the status to end") {
                for request in last { _ = await request.result }
                #expect(await statuses.value > 2)
            }
            await service.close()
            _ = await echo.result
            await proxy.stop()
        }
    }
}
