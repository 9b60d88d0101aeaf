import Foundation
import MeshConcurrency
import ServiceNotification
import Synchronization
import TestSupport
import Testing

@testable import MeshSupervision

/// The socket on which tools speak, and those who should not.
@Suite("The socket of NOTIFY_SOCKET", .timeLimit(.minutes(2)))
struct NotifySocketTests {
    /// What has come.
    private final class Heard: Sendable {
        let notice = Mutex(ToolNotice())
        let calls = Counter()
        let strangers = Counter()
        let knows = Atomic(true)

        func begin(_ socket: NotifySocket) {
            socket.begin(
                isKnown: { pid in pid > 0 && self.knows.load(ordering: .relaxed) },
                onStranger: { _ in self.strangers.add(1) },
                receive: { new in
                    self.calls.add(1)
                    self.notice.withLock { $0.add(new) }
                }
            )
        }

        var all: ToolNotice { notice.withLock { $0 } }
    }

    private func python(_ script: String, _ socket: NotifySocket) async throws -> String {
        let head = """
            import os, socket, struct, array, time
            path = os.environ["NOTIFY_SOCKET"]
            s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            s.connect(path)

            """
        return try await Python.run(head + script, environment: ["NOTIFY_SOCKET": socket.path], "/usr/bin/python3")
    }

    @Test("its directory is private, its path short, and both are gone at the end")
    func place() async throws {
        let socket = try NotifySocket()
        let attributes = try FileManager.default.attributesOfItem(atPath: socket.directory)
        #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == 0o700)
        #expect(socket.path.utf8.count < 104 && TemporaryDirectory.exists(socket.path))
        let heard = Heard()
        heard.begin(socket)
        await socket.close()
        #expect(!TemporaryDirectory.exists(socket.directory))
        var unused: NotifySocket? = try NotifySocket()
        let directory = try #require(unused?.directory)
        unused = nil
        #expect(!TemporaryDirectory.exists(directory))
    }

    @Test("what the package's own sender says is heard")
    func sender() async throws {
        let socket = try NotifySocket()
        let heard = Heard()
        heard.begin(socket)
        let notifier = ServiceNotifier(socket: socket.path)
        #expect(notifier.send("READY=1\nSTATUS=up") == nil && notifier.send("WATCHDOG=1", waits: false) == nil)
        try await eventually("both messages") { heard.all.isReady && heard.all.isAlive }
        #expect(heard.all.status == "up")
        await socket.close()
        #expect(notifier.send("READY=1") != nil)
    }

    #if os(Linux)
        @Test("an address may be a name without a file")
        func abstract() async throws {
            let name = "@mesh-events-test-\(UUID().uuidString)"
            let script = """
                import os, socket
                s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                s.bind("\\0" + os.environ["NOTIFY_SOCKET"][1:])
                print("bound", flush=True)
                print(s.recv(4096).decode())
                """
            let reader = try Python.start(script, environment: ["NOTIFY_SOCKET": name], "/usr/bin/python3")
            try await reader.waitForOutput("bound")
            #expect(ServiceNotifier(socket: name).send("READY=1") == nil)
            #expect(try await reader.wait().split(separator: "\n").last == "READY=1")
        }
    #endif

    @Test("what was sent before it is read counts")
    func early() async throws {
        let socket = try NotifySocket()
        _ = try await python(#"s.send(b"READY=1\nSTATUS=early")"#, socket)
        let heard = Heard()
        heard.begin(socket)
        try await eventually("the message") { heard.all.isReady }
        #expect(heard.all.status == "early")
        await socket.close()
    }

    @Test("giant, empty and broken messages do no harm, and descriptors that come along are not kept")
    func hostile() async throws {
        let socket = try NotifySocket()
        let heard = Heard()
        heard.begin(socket)
        #if os(Linux)
            let before = ToolProcesses.descriptors
        #endif
        _ = try await python(
            #"""
            s.send(b"")
            s.send(b"STATUS=" + b"a" * 4089)
            s.send(b"STATUS=" + b"a" * 100000)
            s.send(bytes(range(256)) * 16)
            s.send(b"\n" * 4096)
            s.send(b"=" * 4096)
            files = array.array("i", [os.open("/dev/null", os.O_RDONLY) for _ in range(100)])
            for _ in range(20):
                s.sendmsg([b"FDSTORE=1\nFDNAME=x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)])
            # As sd_notify_barrier does: it waits until the reader has let go of the pipe.
            reader, writer = os.pipe()
            s.sendmsg([b"BARRIER=1"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [writer]))])
            os.close(writer)
            assert os.read(reader, 1) == b""
            s.send(b"READY=1")
            """#,
            socket
        )
        try await eventually("the last message") { heard.all.isReady }
        #expect(heard.all.status?.utf8.count ?? 0 <= ToolNotice.maximumBytes)
        #if os(Linux)
            #expect(ToolProcesses.descriptors <= before + 2)
            #expect(heard.strangers.count == 0)
        #endif
        await socket.close()
    }

    @Test("a flood is read at a bounded rate, and what matters in it is heard")
    func flood() async throws {
        let socket = try NotifySocket()
        let heard = Heard()
        heard.begin(socket)
        let sent = try await python(
            #"""
            end = time.monotonic() + 2
            count = 0
            while time.monotonic() < end:
                s.send(b"WATCHDOG=1\nSTATUS=%d" % count)
                count += 1
            s.send(b"STATUS=last")
            print(count)
            """#,
            socket
        )
        try await eventually("the last message") { heard.all.status == "last" }
        let count = try #require(Int(sent.trimmingCharacters(in: .whitespacesAndNewlines)))
        // 640 a second, and what the queue of the socket holds.
        #expect(count < 4_000, "\(count) messages in two seconds")
        #expect(heard.calls.count <= count + 1 && heard.all.isAlive)
        await socket.close()
    }

    #if os(Linux)
        @Test("messages of strangers are ignored")
        func strangers() async throws {
            let socket = try NotifySocket()
            let heard = Heard()
            heard.knows.store(false, ordering: .relaxed)
            heard.begin(socket)
            // systemd-notify ends when its barrier was read: its sender is then none of the tool's any more, as it should be.
            _ = try await python(#"s.send(b"BARRIER=1"); s.send(b"READY=1"); s.send(b"WATCHDOG=trigger")"#, socket)
            try await eventually("two strangers") { heard.strangers.count >= 2 }
            #expect(heard.strangers.count == 2)
            #expect(heard.all.isEmpty)
            await socket.close()
        }
    #endif
}
