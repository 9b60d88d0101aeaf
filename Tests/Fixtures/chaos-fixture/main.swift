// A process whose machine fails it, for ChaosTests:
//   clock URL COUNT      emits, while its wall clock is stepped an hour ahead, then two back
//   descriptors URL      runs out of file descriptors, loses its connection, gets some back
// It says how it went on standard output.
import Foundation
import Logging
import MeshEvents
import MeshEventsNATS
import NATSClient
import SteppedClock
import Synchronization

let quiet = Logger(label: "fixture") { _ in SwiftLogNoOpLogHandler() }

func say(_ line: String) { FileHandle.standardOutput.write(Data((line + "\n").utf8)) }

func open(_ url: String, deadline: Duration) async throws -> (NATSTransport, PersistentEventBus) {
    var settings = NATSConnection.Configuration(servers: try ServerAddress.list(url))
    settings.reconnectDelay = ReconnectDelay(initial: .milliseconds(50), maximum: .milliseconds(200))
    let transport = try await NATSTransport.connect(settings, logger: quiet)
    let bus = try await PersistentEventBus.open(
        transport: transport,
        node: "fixture",
        configuration: .init(maximumMessages: nil, acknowledgementDeadline: deadline),
        logger: quiet
    )
    return (transport, bus)
}

/// Emits one after the other; how many were acknowledged, the slowest in milliseconds, and how long a time-out took.
func emitUnderSteps(_ url: String, _ count: Int) async throws {
    let (transport, bus) = try await open(url, deadline: .seconds(10))
    var slowest: Duration = .zero
    var acknowledged = 0
    for number in 0..<count {
        if number == count / 3 { steppedClockSet(3_600) }
        if number == 2 * count / 3 { steppedClockSet(-3_600) }
        let start = ContinuousClock.now
        try await bus.emit("user.chaos", ["n": .init(number)])
        slowest = max(slowest, ContinuousClock.now - start)
        acknowledged += 1
        try await Task.sleep(for: .milliseconds(1))
    }
    let start = ContinuousClock.now
    let inbox = transport.connection.makeInbox()
    let silence = try await transport.connection.subscribe(to: inbox)
    _ = try? await transport.connection.request(to: inbox, timeout: .milliseconds(300))
    let patience = ContinuousClock.now - start
    silence.cancel()
    say("result \(acknowledged) \(Int(slowest / .milliseconds(1))) \(Int(patience / .milliseconds(1)))")
    await transport.close()
}

/// Takes every descriptor there is, and every one that becomes free, as that of a lost connection does.
final class Hoarder: Sendable {
    private let held = Mutex<[Int32]?>([])

    init() {
        take()
        Thread.detachNewThread { [self] in
            while take() { usleep(500) }
        }
    }

    var count: Int { held.withLock { $0?.count ?? 0 } }

    /// Closes them all.
    func stop() {
        for descriptor in held.withLock({ $0.take() ?? [] }) { close(descriptor) }
    }

    /// - Returns: whether to go on.
    @discardableResult
    private func take() -> Bool {
        held.withLock { held in
            guard held != nil else { return false }
            while true {
                let descriptor = dup(0)
                guard descriptor >= 0 else { return true }
                held?.append(descriptor)
            }
        }
    }
}

/// Holds every descriptor there is until it reads a line.
func runOutOfDescriptors(_ url: String) async throws {
    let (transport, bus) = try await open(url, deadline: .seconds(2))
    var (sent, acknowledged) = (0, 0)
    func emit() async throws(MeshEventsError) {
        sent += 1
        try await bus.emit("user.chaos", ["n": .init(sent)])
        acknowledged += 1
    }
    for _ in 0..<100 { try await emit() }
    let updates = transport.connection.statusUpdates()
    let watch = Task {
        for await update in updates {
            if case .reconnectFailed(_, let error) = update { say("reconnect failed: \(error)") }
            if case .reconnected = update { return }
        }
    }
    var limit = rlimit(rlim_cur: 256, rlim_max: 256)
    #if canImport(Darwin)
        setrlimit(RLIMIT_NOFILE, &limit)
    #else
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    #endif
    let hoarder = Hoarder()
    say("exhausted \(hoarder.count)")
    // Until the server has been killed.
    while true {
        do throws(MeshEventsError) {
            try await emit()
        } catch {
            say("emit failed: \(error.isRetriable) \(error.code)")
            break
        }
    }
    do throws(MeshEventsError) {
        _ = try await NATSTransport.connect(to: url, logger: quiet)
        say("connected without a descriptor")
    } catch {
        say("connect failed: \(error.code)")
    }
    _ = readLine()
    hoarder.stop()
    await watch.value
    for _ in 0..<100 { try await emit() }
    say("result \(sent) \(acknowledged)")
    await transport.close()
}

let arguments = CommandLine.arguments.dropFirst()
switch (arguments.first, arguments.count) {
case ("clock", 3): try await emitUnderSteps(arguments[2], Int(arguments[3]) ?? 0)
case ("descriptors", 2): try await runOutOfDescriptors(arguments[2])
default:
    say("usage: chaos-fixture clock URL COUNT | descriptors URL")
    exit(64)
}
