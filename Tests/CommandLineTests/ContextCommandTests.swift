import Foundation
import LocalNATSServer
import MeshEvents
import NKeys
import TestSupport
import Testing

/// Commands with the contexts of the `nats` tool.
@Suite(.timeLimit(.minutes(3))) struct ContextCommandTests {
    @Test func listAndShowHideSecrets() async throws {
        let home = try ContextHome()
        let none = try await home.run(["context", "ls"])
        #expect(none.code == 0 && none.output.isEmpty && none.error.contains("nats context save"), "\(none.error)")
        try home.save("alpha", #"{"url":"nats://me:s3cr3t@a:1","description":"the first"}"#)
        try home.save("beta", #"{"url":"nats://b:2","token":"s3cr3t","inbox_prefix":"_b"}"#)
        try home.save("odd", #"{"nsc":"nsc://o/a/u"}"#)
        try home.select("beta")
        let list = try await home.run(["context", "ls"])
        #expect(list.code == 0 && list.lines.count == 4, "\(list.error)")
        #expect(list.lines[1].contains("alpha") && list.lines[1].contains("the first"))
        #expect(list.lines[2].contains("* beta") && list.lines[2].contains("token"))
        #expect(list.lines[3].contains("nsc is not supported"))
        let json = try await home.run(["context", "list", "--json"])
        #expect(json.lines.count == 3)
        let beta = try EventData(json: json.lines[1])
        #expect(beta["name"]?.string == "beta" && beta["selected"]?.bool == true)
        #expect(beta["url"]?.string == "nats://b:2" && beta["login"]?.string == "token")
        let show = try await home.run(["context", "show"])
        #expect(show.code == 0 && show.output.contains("(hidden)") && show.output.contains("_b"), "\(show.error)")
        let other = try await home.run(["context", "show", "alpha", "--json"])
        #expect(other.output.contains(#""url":"nats://a:1""#))
        let odd = try await home.run(["context", "show", "odd"])
        #expect(odd.code == 64 && odd.error.contains("nsc") && odd.output.contains("odd.json"))
        let gone = try await home.run(["context", "show", "gone"])
        #expect(gone.code == 64 && gone.error.contains("alpha"), "\(gone.error)")
        for outcome in [list, json, show, other] { #expect(!outcome.output.contains("s3cr3t")) }
    }

    @Test func theContextThatIsNamedElseTheVariableElseTheSelectedOne() async throws {
        let home = try ContextHome()
        let rules = "authorization { user: me, password: secret }"
        try await withServer(NATSServers.first, .init(extraConfiguration: rules)) { server in
            try home.save("good", #"{"url":"\#(server.url)","user":"me","password":"secret"}"#)
            try home.save("away", #"{"url":"nats://127.0.0.1:1"}"#)
            let emit = ["emit", "user.x", "--ack"]
            let named = try await home.run(emit + ["--context", "good"])
            #expect(named.code == 0, "\(named.error)")
            let variable = try await home.run(emit, ["NATS_CONTEXT": "good"])
            #expect(variable.code == 0, "\(variable.error)")
            try home.select("good")
            let selected = try await home.run(emit)
            #expect(selected.code == 0, "\(selected.error)")
            let wins = try await home.run(emit + ["--context", "away"], ["NATS_CONTEXT": "good"])
            #expect(wins.code == 69 && wins.error.contains("(context \"away\")"), "\(wins.error)")
            // A server that is named gets nothing of the selected context, and its fields only when the context is named.
            let other = try await home.run(emit + ["--nats", server.url])
            #expect(other.code == 69, "\(other.error)")
            let both = try await home.run(emit + ["--nats", server.url, "--context", "good"])
            #expect(both.code == 0, "\(both.error)")
            let login = try await home.run(emit + ["--context", "good", "--user", "me", "--password", "wrong"])
            #expect(login.code == 69, "\(login.error)")
            // Variables win over a context that a variable names, and lose against one that an option names.
            let forgotten = ["JB_NATS_URL": "nats://127.0.0.1:1"]
            let byVariable = try await home.run(emit, forgotten.merging(["NATS_CONTEXT": "good"]) { $1 })
            #expect(byVariable.code == 69, "\(byVariable.error)")
            let byOption = try await home.run(emit + ["--context", "good"], forgotten)
            #expect(byOption.code == 0, "\(byOption.error)")
        }
        try home.select("away")
        let away = try await home.run(["list"])
        #expect(away.code == 69 && away.error.contains("`nats context select` has chosen"), "\(away.error)")
        try home.select("gone")
        let gone = try await home.run(["list"])
        #expect(gone.code == 64 && gone.error.contains("it is the selected one"), "\(gone.error)")
    }

    @Test func aNodeStartsItsOwnServerWhateverIsSelected() async throws {
        let home = try ContextHome()
        try home.save("away", #"{"url":"nats://127.0.0.1:1","token":"t"}"#)
        try home.select("away")
        let serve = try Command(
            ["serve", "--node", "me", "--port", "0"],
            environment: home.with(["MESH_EVENTS_NATS_SERVER": NATSServers.first.path])
        )
        try await serve.waitForOutput("node.joined")
        #expect(serve.error.contains("listens on nats://127.0.0.1:"))
        serve.signal(SIGTERM)
        #expect(try await serve.wait().code == 0)
        let contradiction = try await home.run(["serve", "--port", "0", "--context", "away"])
        #expect(contradiction.code == 64 && contradiction.error.contains("--context"), "\(contradiction.error)")
    }

    @Test func aNodeJoinsTheContextThatIsNamedAndItsToolsToo() async throws {
        let home = try ContextHome()
        let directory = try TemporaryDirectory()
        let key = NKey()
        let seed = try directory.file("node.nk", key.seed, mode: 0o600)
        let rules = "authorization { users: [ { nkey: \(key.publicKey) } ] }"
        try await withServer(NATSServers.first, .init(extraConfiguration: rules)) { server in
            try home.save("good", #"{"url":"\#(server.url)","nkey":"\#(seed)"}"#)
            let manifest = try directory.file(
                "mesh.yaml",
                """
                node: me
                tools:
                  - name: talker
                    version: "1"
                    command: [sh, -c, "mesh-events emit user.said --ack; exec sleep 600"]
                """
            )
            let serve = try Command(
                ["serve", "--config", manifest],
                environment: home.with(["NATS_CONTEXT": "good"])
            )
            try await serve.waitForOutput("user.said")
            #expect(serve.error.contains("in the mesh of \(server.url)"), "\(serve.error)")
            serve.signal(SIGTERM)
            #expect(try await serve.wait().code == 0)
            try home.save("inline", #"{"url":"\#(server.url)","nkey":"env://SEED"}"#)
            let refused = try await home.run(
                ["serve", "--config", manifest, "--context", "inline"],
                ["SEED": key.seed]
            )
            #expect(refused.code == 64 && refused.error.contains("--tool-nkey"), "\(refused.error)")
        }
    }
}

extension ContextHome {
    /// Its environment, and more variables.
    fileprivate func with(_ more: [String: String]) -> [String: String] { environment.merging(more) { $1 } }

    /// Runs a command in it.
    fileprivate func run(_ arguments: [String], _ more: [String: String] = [:]) async throws -> Command.Outcome {
        try await Command.run(arguments, environment: with(more))
    }
}
