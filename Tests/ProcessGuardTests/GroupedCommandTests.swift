import ProcessGuard
import Synchronization
import TestSupport
import Testing

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// The `SIGPIPE`s that a test has seen.
private let brokenPipes = Atomic(0)

struct GroupedCommandTests {
    private func command(_ program: String = "sh", timeout: Duration? = nil) throws -> GroupedCommand {
        try GroupedCommand(program, timeout: timeout, searchPath: "/usr/bin:/bin")
    }

    @Test func itGetsItsArgumentsItsInputAndTheEnvironmentThatIsGiven() async throws {
        let directory = try TemporaryDirectory()
        let script = #"cat >"$1/input"; printf '%s|' "$2" "$A" "${HOME-none}" >"$1/output""#
        let outcome = try await command().run(
            ["-c", script, "sh", directory.path, "a\0 \"b\""],
            input: "text\n",
            environment: .only(["A": "x\0y", "PATH": "/usr/bin:/bin"]),
            output: .discarded
        )
        #expect(outcome == .exited(0))
        #expect(try directory.text(of: "input") == "text\n")
        #expect(try directory.text(of: "output") == "a\u{FFFD} \"b\"|x\u{FFFD}y|none|")
    }

    @Test func aCommandThatReadsNothingCausesNoSIGPIPE() async throws {
        let before = signal(SIGPIPE) { _ in brokenPipes.add(1, ordering: .relaxed) }
        defer { _ = signal(SIGPIPE, before) }
        let command = try command("true")
        // More than a pipe holds.
        let input = String(repeating: "x", count: 1 << 20)
        for _ in 0..<10 {
            let outcome = await command.run(
                [],
                input: input,
                environment: .inherited(adding: [:]),
                output: .discarded
            )
            #expect(outcome == .exited(0))
        }
        #expect(brokenPipes.load(ordering: .relaxed) == 0)
    }

    @Test func aLargeInputArrivesWhole() async throws {
        let directory = try TemporaryDirectory()
        let input = (0..<100_000).map { "line \($0)\n" }.joined()
        let outcome = try await command().run(
            ["-c", "sleep 0.2; cat >\(directory.path)/input"],
            input: input,
            environment: .inherited(adding: [:]),
            output: .discarded
        )
        #expect(outcome == .exited(0))
        #expect(try directory.text(of: "input") == input)
    }

    @Test func itSaysHowARunEnded() async throws {
        func outcome(_ script: String, timeout: Duration? = nil) async throws -> GroupedCommand.Outcome {
            try await command(timeout: timeout).run(
                ["-c", script],
                input: "",
                environment: .inherited(adding: [:]),
                output: .discarded
            )
        }
        #expect(try await outcome("exit 3") == .exited(3))
        #expect(try await outcome("kill -9 $$") == .signaled(9))
        #expect(try await outcome("sleep 600", timeout: .milliseconds(200)) == .timedOut(.milliseconds(200)))
        #expect(try await outcome("exit 3").problem == "ended with exit code 3")
        #expect(try await outcome("exit 0").problem == nil)
    }

    @Test func aProgramThatCannotBeRunIsNamed() throws {
        let directory = try TemporaryDirectory()
        let file = try directory.file("text", "")
        for (program, reason) in [
            ("no-such-program", "does not exist"), (directory.path, "does not exist"), (file, "is not executable"),
        ] {
            do throws(GroupedCommand.Unusable) {
                _ = try GroupedCommand(program, timeout: nil, searchPath: "/usr/bin:/bin")
                Issue.record("\(program) was found")
            } catch {
                #expect(error.description.hasPrefix(reason))
            }
        }
    }

    @Test func aCancelledRunEndsWithAllItsProcesses() async throws {
        let directory = try TemporaryDirectory()
        let command = try command()
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                _ = await command.run(
                    ["-c", #"sh -c 'echo $$ >"$1/pid"; sleep 600' sh "$1" & wait"#, "sh", directory.path],
                    input: "",
                    environment: .inherited(adding: [:]),
                    output: .discarded
                )
            }
            try? await eventually("the descendant") { (try? directory.text(of: "pid"))?.hasSuffix("\n") ?? false }
            group.cancelAll()
        }
        let pid = try #require(Int32(try directory.text(of: "pid").dropLast()))
        try await eventually("the descendant's end") { !TestProcess.exists(pid) }
    }
}
