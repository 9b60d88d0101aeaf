// A process whose machine fails it, for ChaosTests:
//   clock URL COUNT      emits, while its wall clock is stepped an hour ahead, then two back
// It says how it went on standard output.
import Foundation
import Logging
import MeshEvents
import MeshEventsNATS
import NATSClient
import SteppedClock

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

let arguments = CommandLine.arguments.dropFirst()
switch (arguments.first, arguments.count) {
case ("clock", 3): try await emitUnderSteps(arguments[2], Int(arguments[3]) ?? 0)
default:
    say("usage: chaos-fixture clock URL COUNT")
    exit(64)
}
