import Foundation
import MeshEvents
import ProcessGuard
import TestSupport
import Testing

@testable import MeshSupervision

/// The last lines of a run in `tool.crashed`.
@Suite("What a tool said before it crashed")
struct CrashOutputTests {
    private func published(_ lines: [String], limit: Int = 20, _ redaction: Redaction = Redaction()) -> [String] {
        var output = CrashOutput()
        output.begin(limit: limit, redaction: redaction)
        for line in lines { output.append(line, .stderr) }
        return output.published(Redaction())
    }

    @Test("the last lines, and none when they are turned off") func lines() {
        let lines = (1...30).map { "line \($0)" }
        #expect(published(lines) == Array(lines.suffix(20)))
        #expect(published(lines, limit: 3) == Array(lines.suffix(3)))
        #expect(published(lines, limit: 0).isEmpty)
        #expect(published([]).isEmpty)
    }

    @Test("4 KiB in all and 1 KiB a line, cut between characters, and the cut is said") func cut() {
        let long = String(repeating: "🚀", count: 2_000)
        let one = published([long])
        #expect(one.count == 1 && one[0].utf8.count <= 1_024)
        #expect(one[0].firstMatch(of: #/^🚀+ … (\d+) bytes cut … 🚀+$/#).flatMap { Int($0.1) } ?? 0 > 6_900)
        let many = published((0..<20).map { "\($0) " + String(repeating: "x", count: 500) })
        #expect(many[0] == "… 12 earlier lines left out", "\(many[0])")
        #expect(many.last?.hasPrefix("19 x") == true)
        #expect(many.reduce(0) { $0 + $1.utf8.count + 1 } <= 4_096)
    }

    @Test("memory is bounded before secrets are removed") func memory() {
        let line = String(repeating: "x", count: 8_000)
        let kept = published((0..<10_000).map { "\($0) \(line)" }, limit: 200)
        #expect(kept.last?.hasPrefix("9999 ") == true && kept.count <= 5)
    }

    @Test("a key over several lines is removed, also when its beginning is missing; words about keys are not")
    func keys() {
        let key = [
            "-----BEGIN RSA PRIVATE KEY-----", "Proc-Type: 4,ENCRYPTED", "",
            "MIIEpAIBAAKCAQEAxyz0123456789abcdefABCDEF+/0123456789abcdefghijkl", "aZ9/",
            "-----END RSA PRIVATE KEY-----",
        ]
        let whole = published(["loading"] + key + ["failed"])
        #expect(whole == ["loading", "[redacted]", "", "[redacted]", "failed"], "\(whole)")
        let rest = published(Array(key.dropFirst(3)) + ["failed"])
        #expect(rest == ["[redacted]", "failed"], "\(rest)")
        let middle = published([key[3], "failed"])
        #expect(middle == ["[redacted]", "failed"], "\(middle)")
        let words = published(["no start line: expecting -----BEGIN CERTIFICATE-----", "file: a.pem", "gave up"])
        #expect(words.suffix(2) == ["file: a.pem", "gave up"], "\(words)")
        let plain = [String(repeating: "=", count: 64), String(repeating: "-", count: 64), "0123456789"]
        #expect(published(plain) == plain)
    }

    @Test("a secret that stands where a line is cut is removed as a whole") func cutSecret() {
        let secret = "correct-horse-battery"
        for start in 0..<1_400 where !(20...460).contains(start) {
            let line = String(repeating: "x", count: start) + secret + String(repeating: "y", count: 1_400 - start)
            let text = published([line], Redaction(confidential: [secret])).joined()
            #expect(text.contains("bytes cut") && !text.contains("xc") && !text.contains("ry"), "\(text)")
        }
    }

    @Test("each line of a secret with several lines is a secret") func severalLines() {
        let redaction = Redaction(confidential: ["first part\nsecond part"])
        #expect(published(["it is second part.", "first part"], redaction) == ["it is [redacted].", "[redacted]"])
    }

    @Test("a crash has the last lines of its own run, from standard error alone")
    func ownRun() async throws {
        let bench = try ToolBench()
        try await bench.run(
            bench.tool(
                """
                if [ -e again ]; then echo second >&2; exit 4; fi
                touch again; echo out; for i in $(seq 1 30); do echo "CUDA out of memory $i" >&2; done
                printf 'no line break' >&2; exit 3
                """
            )
        )
        _ = try await bench.events(3)
        #expect(
            bench.crashOutputs == [(12...30).map { "CUDA out of memory \($0)" } + ["no line break"]],
            "\(bench.crashOutputs)"
        )
        try await bench.pass(.seconds(1))
        _ = try await bench.events(5)
        #expect(bench.crashOutputs.last == ["second"])
        await bench.supervisor.shutdown()
    }

    @Test("when standard error says nothing, the last lines of standard output are published")
    func standardOutput() async throws {
        let bench = try ToolBench()
        try await bench.run(
            bench.tool("for i in $(seq 1 30); do echo \"step $i\"; done; echo ' ' >&2; exit 3", restart: .never)
        )
        _ = try await bench.events(3)
        #expect(bench.crashOutputs == [(11...30).map { "step \($0)" }], "\(bench.crashOutputs)")
    }

    @Test("what a tool says behind a progress bar, or at the end of a giant line, is there, and the bar fills no log")
    func progressBar() async throws {
        let bench = try ToolBench()
        let script = #"""
            printf '\rdownloading %d%% ......................................................' $(seq 1 300) >&2
            echo 'fatal: disk full' >&2
            head -c 100000 /dev/zero | tr '\0' x >&2; echo 'and no memory' >&2; exit 3
            """#
        try await bench.run(bench.tool(script, restart: .never))
        _ = try await bench.events(3)
        let output = try #require(bench.crashOutputs.first)
        #expect(output.contains { $0.hasSuffix("fatal: disk full") }, "\(output)")
        #expect(output.last?.hasPrefix("xxx") == true && output.last?.hasSuffix("xxxand no memory") == true)
        // A machine that is busy may make pauses.
        #expect(bench.logged.lines.count { $0.contains("downloading") } < 10)
    }

    @Test("a question without a line break is in the log while the tool waits for its answer")
    func question() async throws {
        let bench = try ToolBench()
        try await bench.run(bench.tool("printf 'Overwrite? '; exec sleep 600"))
        try await eventually("the question") { bench.logged.lines.contains("info tool stdout: Overwrite? ") }
        await bench.supervisor.shutdown()
    }

    @Test("a start that fails has no output of the run before")
    func failedStart() async throws {
        let bench = try ToolBench()
        try await bench.run(bench.tool("echo before >&2; exit 3"))
        _ = try await bench.events(3)
        #expect(bench.crashOutputs == [["before"]])
        var tool = bench.tool("true")
        tool.command = ["no-such-command"]
        try await bench.supervisor.stop("tool")
        try await bench.supervisor.update(tool)
        try? await bench.supervisor.start("tool")
        #expect(bench.crashOutputs.count == 2 && bench.crashOutputs.last == [])
    }

    @Test("secrets of the tool and known forms are removed, and crash_output 0 publishes nothing")
    func redacted() async throws {
        let bench = try ToolBench()
        var tool = bench.tool(
            "echo \"login with $API_TOKEN failed\" >&2; echo 'GET https://me:pw77@h/x' >&2; exit 3",
            restart: .never
        )
        tool.environment = ["API_TOKEN": "very secret words"]
        try await bench.run(tool)
        _ = try await bench.events(3)
        #expect(bench.crashOutputs == [["login with [redacted] failed", "GET https://[redacted]@h/x"]])
        // The file's owner sees all of it.
        #expect(bench.supervisor.tool(named: "tool")?.lastOutput.first == "login with very secret words failed")
        var quiet = bench.tool("echo words >&2; exit 3", name: "quiet", restart: .never)
        quiet.crashOutput = 0
        try await bench.run(quiet)
        _ = try await bench.events(6)
        #expect(bench.crashOutputs.last == [])
        quiet.name = "wrong"
        quiet.crashOutput = 201
        await #expect(throws: ToolError.self) { try await bench.supervisor.install(quiet) }
    }

    @Test("a tool that floods and then crashes: its last lines are those of the crash, and few are logged")
    func flood() async throws {
        let bench = try ToolBench()
        let script = "i=0; while [ $i -lt 20000 ]; do echo \"noise $i\" >&2; i=$((i+1)); done; echo fatal >&2; exit 3"
        try await bench.run(bench.tool(script, restart: .never))
        _ = try await bench.events(3)
        #expect(bench.crashOutputs.first?.last == "fatal" && bench.crashOutputs.first?.count == 20)
        let logged = bench.logged.lines.count { $0.contains("stderr: noise") }
        #expect(logged < 20_000, "\(logged) lines were logged")
        #expect(bench.logged.lines.contains { $0.contains("lines dropped") })
    }

    @Test("bytes that are no text, and escape sequences, come as text")
    func binary() async throws {
        let bench = try ToolBench()
        try await bench.run(bench.tool("printf '\\377\\033[2J\\000x\\n' >&2; exit 3", restart: .never))
        _ = try await bench.events(3)
        #expect(bench.crashOutputs == [["\u{FFFD}\u{1B}[2J\u{0}x"]])
    }
}
