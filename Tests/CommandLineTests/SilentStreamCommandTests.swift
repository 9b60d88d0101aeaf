import Foundation
import LocalNATSServer
import Synchronization
import TestSupport
import Testing

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// The stream does not answer while the connection is up: commands that run say so, and so does the page.
@Suite(.timeLimit(.minutes(5))) struct SilentStreamCommandTests {
    private func get(_ url: URL) async throws -> (status: Int, text: String) {
        let (data, response) = try await URLSession.shared.data(from: url)
        return ((response as? HTTPURLResponse)?.statusCode ?? 0, String(decoding: data, as: UTF8.self))
    }

    private func page(of command: Command) async throws -> URL {
        try await command.waitForError("the dashboard is at")
        let url = try #require(command.error.firstMatch(of: #/the dashboard is at (http://\S+:\d+/)/#)).1
        return try #require(URL(string: String(url)))
    }

    @Test(arguments: NATSServers.all)
    func isReportedOnceByEachCommandAndOnThePage(binary: NATSServers.Binary) async throws {
        try await withServer(binary) { server in
            let port = try #require(server.url.split(separator: ":").last.flatMap { Int($0) })
            let isSilent = Atomic(false)
            // Live events pass, answers do not.
            let proxy = try await MessageLossProxy.start(before: port) { subject, _ in
                subject.hasPrefix("_INBOX.") && isSilent.load(ordering: .relaxed)
            }
            let nats = ["--nats", proxy.url]
            let joined = ["emit", "node.joined", "--node", "pi", "--ack", "--nats", server.url]
            #expect(try await Command.run(joined).code == 0)
            let dashboard = try Command(["dashboard", "--listen", "127.0.0.1:0"] + nats)
            let replay = try Command(["replay", "--follow"] + nats)
            let on = try Command(["on", "user.n", "--durable", "d"] + nats + ["--", "cat"])
            let wait = try Command(["wait-for", "user.n", "--timeout", "4m"] + nats)
            let status = try Command(["status", "--watch"] + nats)
            let url = try await page(of: dashboard)
            let health = url.appending(path: "healthz")
            try await eventually("the page to follow the stream") { try await get(health).status == 200 }
            try await eventually("the page to know the node") {
                try await get(url.appending(path: "api/mesh")).text.contains(#""pi""#)
            }
            try await replay.waitForError("new ones follow")
            try await on.waitForError("running cat")
            try await wait.waitForError("waiting")
            try await status.waitForOutput("pi")

            isSilent.store(true, ordering: .relaxed)
            let commands = [dashboard, replay, on, wait, status]
            for command in commands { try await command.waitForError("the stream does not answer (") }
            try await eventually("the page to say so") {
                let answer = try await get(health)
                return answer.status == 503 && answer.text.contains("The mesh's stream does not answer (")
            }
            let emit = ["emit", "user.n", "--ack", "--nats", server.url]
            #expect(try await Command.run(emit).code == 0)
            isSilent.store(false, ordering: .relaxed)
            for command in commands where command !== wait {
                try await command.waitForError("the stream answers again")
            }
            // The event from meanwhile is not missing.
            #expect(try await wait.wait(within: .seconds(90)).code == 0)
            try await replay.waitForOutput("user.n")
            try await eventually("the page to say that") { try await get(health).status == 200 }
            for command in commands {
                #expect(
                    command.error.components(separatedBy: "the stream does not answer").count == 2,
                    "\(command.error)"
                )
                if command !== wait { command.signal(SIGTERM) }
            }
            for command in commands where command !== wait { _ = try await command.wait() }
            await proxy.stop()
        }
    }

    /// A server setting under which the page's events can be read, and the status of its nodes cannot.
    @Test(arguments: NATSServers.all)
    func aPageThatCannotReadTheStatusOfNodesSaysWhy(binary: NATSServers.Binary) async throws {
        try await withServer(binary, .init(extraConfiguration: "max_subscriptions: 3")) { server in
            let joined = ["emit", "node.joined", "--node", "pi", "--ack", "--nats", server.url]
            #expect(try await Command.run(joined).code == 0)
            let dashboard = try Command(["dashboard", "--listen", "127.0.0.1:0", "--nats", server.url])
            let url = try await page(of: dashboard)
            try await eventually("the page to say why") {
                let answer = try await get(url.appending(path: "healthz"))
                return answer.status == 503 && answer.text.contains("The status of nodes and tools is not known: ")
            }
            let mesh = try await get(url.appending(path: "api/mesh"))
            #expect(mesh.status == 503 && !mesh.text.contains("nodes\":[]"), "\(mesh.text)")
            // The monitor has been tried several times by now.
            try await Task.sleep(for: .seconds(12))
            let lines = dashboard.error.split(separator: "\n").filter { $0.contains("the server says") }
            #expect(lines.count == Set(lines).count && !lines.isEmpty, "\(dashboard.error)")
            dashboard.signal(SIGTERM)
            #expect(try await dashboard.wait().code == 0)
        }
    }
}
