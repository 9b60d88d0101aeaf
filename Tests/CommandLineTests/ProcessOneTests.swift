#if os(Linux)
    import Foundation
    import Glibc
    import TestSupport
    import Testing

    /// `serve` in a process namespace of its own, as in a container.
    @Suite(.timeLimit(.minutes(3))) struct ProcessOneTests {
        /// A tool that leaves a process behind in each round, and says how many of them process 1 has not waited for.
        private static let tool = """
            tools:
              - name: careless
                version: "1.0.0"
                command:
                  - sh
                  - -c
                  - |
                    round=0
                    while :; do
                        round=$((round + 1))
                        (true &)
                        dead=$(grep -ls '^State:.Z' /proc/[0-9]*/status | wc -l)
                        echo "$round $dead" > count.new
                        mv count.new count
                        sleep 0.02
                    done
            """

        /// An init of its own waits for what tools leave behind; without one the node says what is missing.
        @Test(arguments: [true, false])
        func processesThatAToolLeavesBehindAreWaitedFor(withInit: Bool) async throws {
            let directory = try TemporaryDirectory()
            let manifest = try directory.file("mesh.yaml", Self.tool)
            let mapping = geteuid() == 0 ? [] : ["--map-root-user"]
            let namespace = ["/usr/bin/unshare", "--pid", "--fork", "--kill-child", "--mount-proc"] + mapping
            let serve = try Command(
                ["serve", "--node", "me", "--port", "0", "--config", manifest],
                environment: ["MESH_EVENTS_NATS_SERVER": NATSServers.first.path],
                launcher: namespace + (withInit ? ["/usr/bin/tini", "--"] : [])
            )
            var dead = 0
            try await eventually("50 processes to be left behind") {
                let words = (try? directory.text(of: "count"))?.split(separator: " ") ?? []
                guard words.count == 2, let round = Int(words[0]), round >= 50 else { return false }
                dead = Int(words[1].trimmingCharacters(in: .newlines)) ?? -1
                return true
            }
            if withInit {
                #expect(dead >= 0 && dead < 10)
            } else {
                #expect(dead >= 40, "this test does not see what is left behind")
            }
            let warning = "is process 1, and does not wait for the processes that its children leave behind"
            #expect(serve.error.contains(warning) == !withInit, "\(serve.error)")
        }
    }
#endif
