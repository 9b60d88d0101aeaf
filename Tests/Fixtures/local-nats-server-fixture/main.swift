// A parent for tests to kill: starts a server, says its process id, port and store on one line, and waits.
// Arguments: the path of nats-server, and what to do then: `wait` (until killed), `exit` (at once, without stopping the
// server) or `survive` (SIGINT; it says `interrupted`).
import LocalNATSServer

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

if CommandLine.arguments.last == "survive" {
    signal(SIGINT) { _ in _ = write(1, "interrupted\n", 12) }
}
let server = try await LocalNATSServer.start(.init(executable: CommandLine.arguments[1]))
print("\(server.pid ?? 0) \(server.port) \(server.storeDirectory)")
fflush(nil)
if CommandLine.arguments.last == "exit" { exit(0) }
_ = try await server.termination
