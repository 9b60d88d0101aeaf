import Foundation
import ProcessGuard
import Synchronization
import TestSupport
import Testing

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

@Suite("A supervised process")
struct SupervisedProcessTests {
    /// What a process wrote.
    private final class Output: Sendable {
        private let pieces = Mutex<[ProcessOutput]>([])
        func append(_ piece: ProcessOutput) { pieces.withLock { $0.append(piece) } }
        var all: [ProcessOutput] { pieces.withLock { $0 } }
    }

    private func shell(_ script: String, _ environment: [String: String] = [:]) -> SupervisedProcess.Command {
        let path = ["PATH": "/bin:/usr/bin"].merging(environment) { $1 }
        return SupervisedProcess.Command(executable: "/bin/sh", arguments: ["-c", script], environment: path)
    }

    private func numbers(_ directory: TemporaryDirectory, _ file: String) throws -> [Int32] {
        try directory.text(of: file).split(whereSeparator: \.isWhitespace).compactMap { Int32($0) }
    }

    @Test("its end and its output, each stream in order")
    func endAndOutput() async throws {
        let output = Output()
        let process = try await SupervisedProcess.launch(shell("echo a; echo b >&2; echo c; exit 3")) {
            output.append($0)
        }
        #expect(await process.waitForEnd() == .exited(code: 3))
        #expect(process.end == .exited(code: 3) && !process.hasLostGuard)
        #expect(output.all.filter { $0 == .line(.stderr, "b") }.count == 1)
        #expect(output.all.filter { $0 != .line(.stderr, "b") } == [.line(.stdout, "a"), .line(.stdout, "c")])
    }

    @Test("a line that does not end comes when the process pauses")
    func unfinishedLine() async throws {
        let (directory, output) = (try TemporaryDirectory(), Output())
        let go = directory.path + "/go"
        var command = shell("printf 'Overwrite? '; until [ -e \(go) ]; do sleep 0.02; done; echo yes")
        command.limits.pause = .milliseconds(50)
        let process = try await SupervisedProcess.launch(command) { output.append($0) }
        try await eventually("the question") { output.all == [.line(.stdout, "Overwrite? ")] }
        try directory.file("go", "")
        #expect(await process.waitForEnd() == .exited(code: 0))
        #expect(output.all == [.line(.stdout, "Overwrite? "), .line(.stdout, "yes")])
    }

    @Test("a full buffer of a program that keeps its output back is not torn from the rest of its line")
    func fullBuffer() async throws {
        let output = Output()
        var command = shell("dd if=/dev/zero bs=4096 count=1 2>/dev/null; sleep 1; echo rest")
        command.limits.pause = .milliseconds(50)
        let process = try await SupervisedProcess.launch(command) { output.append($0) }
        #expect(await process.waitForEnd() == .exited(code: 0))
        #expect(output.all == [.line(.stdout, String(repeating: "\0", count: 4_096) + "rest")])
    }

    #if os(Linux)
        @Test("what it leaves behind is ended with it, and counted")
        func leftBehind() async throws {
            let cases = [("exit 0", 0), ("sleep 600 & exit 0", 1), ("setsid sleep 600 & sleep 600 & exit 3", 2)]
            for (script, count) in cases {
                let process = try await SupervisedProcess.launch(shell(script)) { _ in }
                _ = await process.waitForEnd()
                #expect(process.leftBehind == count, "\(script)")
            }
        }
    #endif

    @Test("its environment is the one given, but for its group's mark, and its input is empty")
    func environment() async throws {
        let output = Output()
        let process = try await SupervisedProcess.launch(shell("env; cat", ["ONE": "1"])) { output.append($0) }
        #expect(await process.waitForEnd() == .exited(code: 0))
        let names = output.all.compactMap { piece -> String? in
            guard case .line(.stdout, let text) = piece else { return nil }
            return text.split(separator: "=").first.map(String.init)
        }
        let own = Set(names).subtracting(["PATH", "ONE", "PWD", "_", "SHLVL", "OLDPWD"])
        #expect(own.allSatisfy { $0.hasPrefix("MESH_EVENTS_GROUP_") } && own.count == 1, "\(names)")
    }

    @Test("a program that does not exist, may not run, or has no directory is not started")
    func notStarted() async throws {
        let directory = try TemporaryDirectory()
        let file = try directory.file("text", "no program")
        let commands: [(SupervisedProcess.Command, [Int32])] = [
            (.init(executable: directory.path + "/none"), [ENOENT]), (.init(executable: file), [EACCES, ENOENT]),
            (.init(executable: "/bin/sh", directory: directory.path + "/none"), [ENOENT]),
        ]
        for (command, numbers) in commands {
            let error = await thrownError { () async throws(LaunchError) in
                _ = try await SupervisedProcess.launch(command) { _ in }
            }
            let known = error?.errorNumber.map { numbers.contains($0) } == true
            let entered = error?.description.hasSuffix("/none cannot be entered: No such file or directory") == true
            #expect(known || command.directory != nil && entered, "\(error.map { "\($0)" } ?? "none")")
        }
        let unwritable = await thrownError { () async throws(LaunchError) in
            _ = try await SupervisedProcess.launch(shell("exit"), appendingTo: directory.path + "/none/log")
        }
        #expect(unwritable?.errorNumber == ENOENT)
    }

    @Test("its output is appended to a file, both streams in the order they were written")
    func log() async throws {
        let directory = try TemporaryDirectory()
        let log = try directory.file("log", "before\n")
        let process = try await SupervisedProcess.launch(
            shell("echo one; echo two >&2; echo three"),
            appendingTo: log,
            removing: directory.path + "/other"
        )
        #expect(await process.waitForEnd() == .exited(code: 0))
        #expect(try directory.text(of: "log") == "before\none\ntwo\nthree\n")
    }

    @Test("its descendants end with it, those in other groups and sessions too")
    func descendants() async throws {
        let directory = try TemporaryDirectory()
        let script = """
            sleep 1000 & echo $! > \(directory.path)/pids
            setsid sleep 1000 & echo $! >> \(directory.path)/pids
            exit 0
            """
        let process = try await SupervisedProcess.launch(shell(script)) { _ in }
        #expect(await process.waitForEnd() == .exited(code: 0))
        let pids = try numbers(directory, "pids")
        #expect(pids.count == 2)
        for pid in pids { try await eventually("process \(pid) to end") { !TestProcess.exists(pid) } }
    }

    #if os(Linux)
        @Test(
            "a descendant that has cleared its environment and left the session ends with it too",
            arguments: [ProcessSettings(), ProcessSettings(umask: 0o077)]
        )
        func clearedEnvironment(_ settings: ProcessSettings) async throws {
            let directory = try TemporaryDirectory()
            let file = { (name: String) in directory.path + "/" + name }
            let script = """
                until [ -e \(file("go")) ]; do sleep 0.02; done
                env -i setsid /bin/sh -c 'echo $$ > \(file("some")); mv \(file("some")) \(file("pids")); exec sleep 1000' &
                until [ -e \(file("pids")) ]; do sleep 0.02; done
                exit 0
                """
            var command = shell(script)
            command.settings = settings
            let process = try await SupervisedProcess.launch(command) { _ in }
            let group = try #require(process.family.group)
            #expect(
                process.family.pid == process.pid
                    && process.family.mark?.variable.hasPrefix("MESH_EVENTS_GROUP_") == true
            )
            try directory.file("go", "")
            #expect(await process.waitForEnd() == .exited(code: 0))
            let pid = try #require(try numbers(directory, "pids").first)
            #expect(pid != process.pid && pid != group)
            try await eventually("process \(pid) to end") { !TestProcess.exists(pid) }
        }
    #endif

    #if os(Linux)
        @Test("what it starts as its first act has its mark, too")
        func firstAct() async throws {
            for _ in 0..<20 {
                let output = Output()
                let script = "setsid env -i /bin/sh -c 'echo $$; exec sleep 1000' & exec sleep 1000"
                let process = try await SupervisedProcess.launch(shell(script)) { output.append($0) }
                try await eventually("the descendant") { !output.all.isEmpty }
                guard case .line(.stdout, let line) = output.all.first, let pid = Int32(line) else {
                    Issue.record("\(output.all)")
                    return
                }
                #expect(process.contains(pid))
                _ = await process.stop(grace: .milliseconds(10))
                try await eventually("process \(pid) to end") { !TestProcess.exists(pid) }
            }
        }

        /// What a Python program does to outlive its parent, which waits.
        enum Escape: String, CaseIterable, Sendable {
            case deadLeader = """
                threading.Thread(target=time.sleep, args=(600,)).start()
                say(os.getpid())
                time.sleep(0.2)
                C.syscall(ctypes.c_long(EXIT), ctypes.c_long(0))
                """
            case name = """
                C.prctl(15, b"x) Z\\n", 0, 0, 0)
                say(os.getpid())
                time.sleep(600)
                """
            case chain = """
                say(os.getpid())
                end = time.time() + 120
                while time.time() < end:
                    if os.fork(): os._exit(0)
                    os.utime('beat')
                    time.sleep(0.0015)
                """

            func script(in directory: String) -> String {
                """
                import ctypes, os, platform, threading, time
                C = ctypes.CDLL(None)
                EXIT = 60 if platform.machine() == 'x86_64' else 93
                os.chdir('\(directory)')
                open('beat', 'w').close()
                def say(pid):
                    with open('some', 'w') as file: file.write(str(pid))
                    os.rename('some', 'pid')
                if os.fork():
                    time.sleep(600)
                os.setsid()
                \(rawValue)
                """
            }
        }

        @Test("a descendant does not outlive it by its state, its name or its haste", arguments: Escape.allCases)
        func escapes(_ escape: Escape) async throws {
            let directory = try TemporaryDirectory()
            let command = SupervisedProcess.Command(
                executable: "/usr/bin/python3",
                arguments: ["-c", escape.script(in: directory.path)],
                environment: ["PATH": "/bin:/usr/bin"]
            )
            let process = try await SupervisedProcess.launch(command) { _ in }
            try await eventually("the descendant") { TemporaryDirectory.exists(directory.path + "/pid") }
            let pid = try #require(try numbers(directory, "pid").first)
            if escape == .chain {
                try await eventually("the chain") { !TestProcess.exists(pid) }
            } else {
                try await Task.sleep(for: .milliseconds(500))
                #expect(TestProcess.exists(pid))
            }
            _ = await process.stop(grace: .milliseconds(10))
            try await eventually("process \(pid) to end") { !TestProcess.exists(pid) }
            // A chain would go on to touch the file.
            let beat = directory.path + "/beat"
            let old = Date(timeIntervalSince1970: 1_000_000)
            try FileManager.default.setAttributes([.modificationDate: old], ofItemAtPath: beat)
            try await Task.sleep(for: .milliseconds(500))
            #expect(try FileManager.default.attributesOfItem(atPath: beat)[.modificationDate] as? Date == old)
        }

        @Test(
            "a process of another user that copies its limit is neither its own nor killed",
            .enabled(if: getuid() == 0)
        )
        func copiedLimit() async throws {
            let process = try await SupervisedProcess.launch(shell("sleep 600")) { _ in }
            let limit = try #require(process.family.mark?.limit)
            let script = """
                import os, resource, time
                resource.setrlimit(10, (\(limit), resource.getrlimit(10)[1]))
                os.setuid(65534)
                os.setsid()
                os.write(1, b'%d\\n' % os.getpid())
                time.sleep(600)
                """
            let output = Output()
            let command = SupervisedProcess.Command(
                executable: "/usr/bin/python3",
                arguments: ["-c", "import os, time\nif os.fork(): time.sleep(600)\n" + script],
                environment: ["PATH": "/bin:/usr/bin"]
            )
            let other = try await SupervisedProcess.launch(command) { output.append($0) }
            try await eventually("the copy") { !output.all.isEmpty }
            guard case .line(.stdout, let line) = output.all.first, let copy = Int32(line) else {
                Issue.record("\(output.all)")
                return
            }
            #expect(!process.contains(copy) && other.contains(copy))
            _ = await process.stop(grace: .milliseconds(10))
            #expect(TestProcess.exists(copy))
            _ = await other.stop(grace: .milliseconds(10))
            try await eventually("the copy to end") { !TestProcess.exists(copy) }
        }

        @Test("the variable that marks its descendants is in no command line")
        func secret() async throws {
            let process = try await SupervisedProcess.launch(shell("sleep 600")) { _ in }
            let (mark, group) = (try #require(process.family.mark), try #require(process.family.group))
            let line = try #require(FileManager.default.contents(atPath: "/proc/\(group)/cmdline"))
            #expect(line.firstRange(of: Data("\(mark.limit)".utf8)) != nil)
            #expect(line.firstRange(of: Data(mark.variable.utf8)) == nil)
            _ = await process.stop(grace: .milliseconds(10))
        }
    #endif

    @Test("a stop asks first, kills after the grace time, and ends a suspended program", .timeLimit(.minutes(2)))
    func stop() async throws {
        let directory = try TemporaryDirectory()
        func started(_ script: String) async throws -> SupervisedProcess {
            let file = directory.path + "/ready"
            try? FileManager.default.removeItem(atPath: file)
            let process = try await SupervisedProcess.launch(
                shell("\(script); : > \(file); while :; do sleep 0.1; done")
            ) {
                _ in
            }
            try await eventually("the program to run") { TemporaryDirectory.exists(file) }
            return process
        }
        let polite = try await started("trap 'exit 7' TERM")
        #expect(await polite.stop(grace: .seconds(60)) == .exited(code: 7))
        let stubborn = try await started("trap '' TERM")
        #expect(await stubborn.stop(grace: .milliseconds(100)) == .signaled(SIGKILL))
        let suspended = try await started("trap 'exit 8' TERM")
        suspended.signalProgram(SIGSTOP)
        #expect(await suspended.stop(grace: .seconds(60)) == .exited(code: 8))
        let halted = try await started(":")
        // The guard, too.
        halted.signal(SIGSTOP)
        halted.kill()
        #expect(await halted.waitForEnd() == .signaled(SIGKILL))
    }

    @Test("a signal for the program alone does not reach its children")
    func programAlone() async throws {
        let directory = try TemporaryDirectory()
        let script = """
            trap 'echo program >> \(directory.path)/heard' HUP
            (trap 'echo child >> \(directory.path)/heard' HUP; : > \(directory.path)/ready; while :; do sleep 0.05; done) &
            while :; do sleep 0.05; done
            """
        let process = try await SupervisedProcess.launch(shell(script)) { _ in }
        try await eventually("the child to run") { TemporaryDirectory.exists(directory.path + "/ready") }
        process.signalProgram(SIGHUP)
        try await eventually("the program to hear it") { (try? directory.text(of: "heard")) == "program\n" }
        process.signal(SIGHUP)
        try await eventually("both to hear it") { (try? directory.text(of: "heard").split(separator: "\n").count) == 3 }
        #expect(await process.stop(grace: .seconds(60)) == .signaled(SIGTERM))
        process.signalProgram(SIGHUP)
    }

    @Test("a program whose guard is killed is killed with its descendants in other sessions, and says so")
    func guardKilled() async throws {
        let directory = try TemporaryDirectory()
        let script =
            "setsid sleep 1000 & echo $! > \(directory.path)/pid; : > \(directory.path)/ready; sleep 1000; exit 0"
        let process = try await SupervisedProcess.launch(shell(script)) { _ in }
        try await eventually("the child to run") { TemporaryDirectory.exists(directory.path + "/ready") }
        let group = TestProcess.group(of: process.pid)
        #expect(group != process.pid && group != getpgrp())
        TestProcess.signal(group, SIGKILL)
        #expect(await process.waitForEnd() == .signaled(SIGKILL))
        #expect(process.hasLostGuard)
        let child = try #require(try numbers(directory, "pid").first)
        try await eventually("process \(child) to end") { !TestProcess.exists(child) }
    }

    @Test("left to its guard it is killed and its directory removed; killed, or ended before, it is not")
    func directory() async throws {
        for act in ["abandon", "kill", "end"] {
            let directory = try TemporaryDirectory()
            let process = try await SupervisedProcess.launch(
                shell("while :; do : > \(directory.path)/file; sleep 0.01; done"),
                appendingTo: directory.path + "/log",
                removing: directory.path
            )
            try await eventually("the program to run") { TemporaryDirectory.exists(directory.path + "/file") }
            switch act {
            case "abandon": #expect(process.abandon())
            case "kill": process.kill()
            default: TestProcess.signal(process.pid, SIGKILL)
            }
            #expect(await process.waitForEnd() == .signaled(SIGKILL))
            #expect(!process.abandon())
            if act == "abandon" {
                try await eventually("the directory to go") { !TemporaryDirectory.exists(directory.path) }
            } else {
                #expect(TemporaryDirectory.exists(directory.path + "/file"))
            }
        }
    }

    @Test("who waits for its end can be cancelled, and the process goes on")
    func cancelled() async throws {
        let process = try await SupervisedProcess.launch(shell("sleep 1000")) { _ in }
        let waiting = Task { try await process.waitForEndUnlessCancelled() }
        waiting.cancel()
        await #expect(throws: CancellationError.self) { try await waiting.value }
        #expect(try await process.waitForEndUnlessCancelled(atMost: .milliseconds(1)) == nil)
        #expect(TestProcess.exists(process.pid))
        process.kill()
        #expect(await process.waitForEnd() == .signaled(SIGKILL))
    }
}
