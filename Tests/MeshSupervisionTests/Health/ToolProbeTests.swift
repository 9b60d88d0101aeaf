import Foundation
import Logging
import MeshEvents
import TestSupport
import Testing

@testable import MeshSupervision

/// Real probes of real programs.
@Suite("Probes", .timeLimit(.minutes(3)))
struct ToolProbeTests {
    /// A server whose conduct is the first part of the path.
    static let server = #"""
        import socket, sys, threading, time
        server = socket.socket()
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", int(sys.argv[1])))
        server.listen(64)
        print("listening", flush=True)
        def serve(client):
            try:
                head = b""
                while b"\r\n\r\n" not in head:
                    part = client.recv(4096)
                    if not part: return
                    head += part
                what = head.split(b" ")[1].decode().strip("/").split("?")[0]
                if what.isdigit():
                    body = b"\n the database is down\nmore" if what == "503" else b"<html>no</html>"
                    client.sendall(b"HTTP/1.1 %s X\r\nContent-Length: %d\r\n\r\n%s" % (what.encode(), len(body), body))
                elif what == "host":
                    good = b"Host: 127.0.0.1:" + sys.argv[1].encode() in head and head.startswith(b"GET /host?q=1 HTTP/1.1")
                    client.sendall(b"HTTP/1.1 %s X\r\nContent-Length: 0\r\n\r\n" % (b"204" if good else b"400"))
                elif what == "hints":
                    client.sendall(b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")
                elif what == "hang":
                    time.sleep(60)
                elif what == "slow":
                    for letter in b"HTTP/1.1 200 OK\r\n\r\n" * 9: client.sendall(bytes([letter])); time.sleep(0.2)
                elif what == "close":
                    pass
                elif what == "garbage":
                    client.sendall(b"SSH-2.0-OpenSSH_9.2\r\n" * 20)
                elif what == "headers":
                    client.sendall(b"HTTP/1.1 200 OK\r\n")
                    while True: client.sendall(b"X-A: " + b"a" * 1000 + b"\r\n")
                elif what == "flood":
                    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n")
                    while True: client.sendall(b"a" * 65536)
                elif what == "badflood":
                    client.sendall(b"HTTP/1.1 500 No\r\nContent-Length: 9999999999\r\n\r\n")
                    while True: client.sendall(b"a" * 65536)
                elif what == "badsecret":
                    body = b"so " * 337 + b"correct horse battery staple" + b" so" * 9
                    client.sendall(b"HTTP/1.1 500 No\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                elif what == "badslow":
                    client.sendall(b"HTTP/1.1 502 No\r\nContent-Length: 99\r\n\r\nupstream")
                    time.sleep(60)
            except OSError:
                pass
            finally:
                client.close()
        while True:
            client, _ = server.accept()
            threading.Thread(target=serve, args=(client,), daemon=True).start()
        """#

    private func withServer(_ body: (ToolBench, Int) async throws -> Void) async throws {
        let bench = try ToolBench(clock: ContinuousClock())
        let port = try freePorts(1)[0]
        let script = try bench.directory.file("server.py", Self.server)
        try await bench.run(
            ToolSpecification(name: "tool", version: "1", command: ["/usr/bin/python3", script, "\(port)"])
        )
        try await eventually("the server to listen") { bench.logged.lines.contains { $0.hasSuffix("listening") } }
        try await body(bench, port)
        await bench.supervisor.shutdown()
    }

    private func result(
        _ target: ToolProbe.Target,
        _ bench: ToolBench,
        timeout: Duration = .seconds(20),
        _ tool: ToolSpecification? = nil
    ) async -> ToolHealthMachine.ProbeResult {
        let tool = tool ?? bench.tool("true")
        return await ToolProber(tool: tool, context: bench.supervisor.context).run(ToolProbe(target, timeout: timeout))
    }

    @Test("by HTTP: 2xx and 3xx pass; the reasons of others say what came")
    func http() async throws {
        try await withServer { bench, port in
            func ask(_ path: String, timeout: Duration = .seconds(20)) async -> ToolHealthMachine.ProbeResult {
                await result(.http("http://127.0.0.1:\(port)/\(path)"), bench, timeout: timeout)
            }
            for path in ["200", "204", "299", "301", "399", "host?q=1", "hints", "flood", "200#part"] {
                #expect(await ask(path) == .passed, "\(path)")
            }
            #expect(await ask("404") == .failed("it answered 404"))
            #expect(await ask("500") == .failed("it answered 500"))
            #expect(await ask("503") == .failed("it answered 503:  the database is down"))
            #expect(await ask("badslow") == .failed("it answered 502: upstream"))
            #expect(await ask("badflood") == .failed("it answered 500: " + String(repeating: "a", count: 1_024) + " …"))
            guard case .failed(let reason) = await ask("badsecret") else {
                Issue.record("it passed")
                return
            }
            let published = HealthCheck.reason(reason, Redaction(confidential: ["correct horse battery staple"]))
            #expect(published.hasSuffix("so so [redacted] …"), "\(published)")
            #expect(await ask("close") == .failed("it closed the connection without an answer"))
            #expect(await ask("garbage") == .failed("it does not answer in HTTP"))
            #expect(await ask("headers") == .failed("it does not answer in HTTP"))
            #expect(await ask("hang", timeout: .milliseconds(200)) == .failed("no answer within 200ms"))
            #expect(await ask("slow", timeout: .milliseconds(300)) == .failed("no answer within 300ms"))
            #expect(await result(.http("http://localhost:\(port)/200"), bench) == .passed)
            #expect(await result(.tcp("127.0.0.1:\(port)"), bench) == .passed)
        }
    }

    @Test("a port to which nothing listens refuses; a name that is none is said")
    func refused() async throws {
        let bench = try ToolBench(clock: ContinuousClock())
        let port = try freePorts(1)[0]
        #expect(await result(.tcp("127.0.0.1:\(port)"), bench) == .failed("connection refused"))
        #expect(await result(.http("http://127.0.0.1:\(port)"), bench) == .failed("connection refused"))
        guard case .failed = await result(.tcp("no-such-host.invalid:1"), bench, timeout: .seconds(5))
        else {
            Issue.record("a host that does not exist took a connection")
            return
        }
    }

    @Test("by a program: code 0 passes, its last line is the reason, and it gets the tool's environment and directory")
    func program() async throws {
        let bench = try ToolBench(clock: ContinuousClock())
        func ask(_ script: String, timeout: Duration = .seconds(30)) async -> ToolHealthMachine.ProbeResult {
            var tool = bench.tool("true")
            tool.environment = ["OWN": "mine"]
            return await result(.command(["sh", "-c", script]), bench, timeout: timeout, tool)
        }
        #expect(await ask("exit 0") == .passed)
        #expect(await ask(#"[ "$OWN" = mine ] && [ "$JB_TOOL_NAME" = tool ] && [ -z "$NOTIFY_SOCKET" ]"#) == .passed)
        #expect(await ask(#"[ "$(pwd -P)" = "$(cd \#(bench.directory.path); pwd -P)" ]"#) == .passed)
        #expect(await ask("echo one >&2; echo two >&2; echo three; exit 3") == .failed("exited with code 3: two"))
        #expect(await ask("echo one; echo two; echo; exit 3") == .failed("exited with code 3: two"))
        let flood = "i=0; while [ $i -lt 5000 ]; do echo noise $i >&2; i=$((i+1)); done; echo fatal >&2; exit 3"
        #expect(await ask(flood) == .failed("exited with code 3: fatal"))
        #expect(await ask("kill -9 $$") == .failed("killed by signal 9 (SIGKILL)"))
        let missing = await result(.command(["no-such-program"]), bench)
        #expect(
            missing
                == .failed(
                    "command not found: no-such-program is in no directory of PATH; install it, or give its path"
                )
        )
    }

    @Test("a program that floods with bytes of every kind: memory stays bounded, and the reason is a line")
    func floods() async throws {
        let bench = try ToolBench(clock: ContinuousClock())
        let script = "timeout 2 cat /dev/urandom; timeout 1 cat /dev/zero; printf 'last \\033[31m word\\n'; exit 7"
        let result = await result(.command(["sh", "-c", script]), bench)
        guard case .failed(let reason) = result else {
            Issue.record("it passed")
            return
        }
        #expect(reason.hasPrefix("exited with code 7") && reason.hasSuffix("last \u{1B}[31m word"), "\(reason)")
        #expect(reason.utf8.count < 3 * 8_500)
        #expect(HealthCheck.reason(reason).utf8.count <= 303)
    }

    @Test("a program that hangs is ended with all that it has started")
    func hangs() async throws {
        let bench = try ToolBench(clock: ContinuousClock())
        let script = "trap '' TERM; (setsid sleep 600 & echo $! > child); echo $$ > own; sleep 600"
        let tool = bench.tool("true")
        let probe = ToolProber(tool: tool, context: bench.supervisor.context)
        let result = await probe.run(ToolProbe(.command(["sh", "-c", script]), timeout: .seconds(2)))
        #expect(result == .failed("no answer within 2s"))
        for file in ["own", "child"] { try await ToolProcesses.end(of: bench.pid(inFile: file)) }
    }

    #if os(Linux)
        @Test("two hundred probes that hang cost a bounded number of descriptors, and leave none")
        func descriptors() async throws {
            try await withServer { bench, port in
                _ = await result(.http("http://127.0.0.1:\(port)/200"), bench)
                let before = ToolProcesses.descriptors
                let most = Counter()
                await withTaskGroup(of: Void.self) { group in
                    for _ in 0..<200 {
                        group.addTask {
                            let target = ToolProbe.Target.http("http://127.0.0.1:\(port)/hang")
                            _ = await result(target, bench, timeout: .milliseconds(100))
                        }
                    }
                    group.addTask {
                        for _ in 0..<50 {
                            let now = ToolProcesses.descriptors - before
                            if now > most.count { most.add(now - most.count) }
                            try? await Task.sleep(for: .milliseconds(10))
                        }
                    }
                }
                #expect(most.count <= 64, "\(most.count) descriptors")
                try await eventually("the descriptors to be closed") { ToolProcesses.descriptors <= before + 2 }
            }
        }
    #endif

    @Test("addresses: what can be used is split as it should be, the rest is refused, without quoting it")
    func addresses() throws {
        let good: [(String, String, Int, String, String)] = [
            ("http://127.0.0.1:9000/healthz", "127.0.0.1", 9_000, "/healthz", "127.0.0.1:9000"),
            ("HTTP://localhost", "localhost", 80, "/", "localhost"),
            ("http://[::1]:81?a=b#c", "::1", 81, "/?a=b", "[::1]:81"),
            ("http://a.b/x?y=/z", "a.b", 80, "/x?y=/z", "a.b"),
        ]
        for (url, host, port, path, authority) in good {
            let target = try HTTPTarget(url)
            #expect(target.host == host && target.port == port && target.path == path && target.authority == authority)
        }
        for url in [
            "", "x", "https://a/", "http://", "http://:80/", "http://a:0/", "http://a:65536", "http://a:b", "http://a:",
            "http://me:secret1@a/", "http://a b/", "http://a/\n", "http://[::1", "http://[::1]x", "ftp://a",
            "http://é/",
            "http://a:80:81", "http://a\\b/",
        ] {
            let error = #expect(throws: HTTPTarget.Problem.self, "\(url)") { try HTTPTarget(url) }
            #expect(error?.description.contains("secret1") == false)
        }
        #expect(HTTPTarget.split("127.0.0.1:9000")?.port == 9_000 && HTTPTarget.split("[::1]:9")?.host == "::1")
        for text in ["", "a", "a:", ":1", "::1:9", "a:1:2", "a b:1", "[::1]"] {
            #expect(HTTPTarget.split(text) == nil, "\(text)")
        }
    }
}
