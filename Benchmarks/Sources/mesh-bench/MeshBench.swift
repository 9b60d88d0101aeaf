import CNATS
import Foundation
import LocalNATSServer

/// Compares the event bus with libnats, by turns, against one real server.
@main
struct MeshBench {
    static func main() async {
        do {
            let options = try Options(Array(CommandLine.arguments.dropFirst()))
            let server = try await LocalNATSServer.start(
                // Nothing is lost, whoever is slower: a server cuts off who lets too much wait.
                LocalNATSServer.Configuration(jetStream: false, extraConfiguration: "max_pending: 1073741824")
            )
            let result: Result<Bool, any Error>
            do {
                result = .success(try await MeshBench(options: options, server: server).run())
            } catch {
                result = .failure(error)
            }
            await server.stop()
            if !(try result.get()), options.isCheck { exit(1) }
        } catch {
            FileHandle.standardError.write(Data("mesh-bench: \(error)\n".utf8))
            exit(2)
        }
    }

    let options: Options
    let server: LocalNATSServer

    /// Returns whether every goal was reached.
    func run() async throws -> Bool {
        print(
            "nats-server \(server.version), libnats \(String(cString: nats_GetVersion())), "
                + "\(ProcessInfo.processInfo.activeProcessorCount) processors, \(options.pairs) pairs: median (min to max)"
        )
        let raw = try RawMeasures(url: server.url)
        let events = try await EventMeasures(url: server.url)
        let many = options.count ?? 1_000_000
        let some = options.count ?? 250_000
        var isReached = true
        for what in options.what {
            let reached =
                switch what {
                case "P1":
                    try await options.compare(
                        [Goal(name: "P1 emit core", yardstick: "raw libnats", bound: .atLeast(0.60), unit: .rate)],
                        ours: events.emit(many),
                        yardstick: raw.publish(many)
                    )
                case "P2":
                    try await options.compare(
                        [Self.receiving("P2 emit to handler", .atLeast(1.0))],
                        ours: events.handle(some),
                        yardstick: raw.receive(some)
                    )
                case "P3": try await compareSequences(events, raw, some)
                case "P4": try await compareOneAtATime(events, raw)
                case "P5", "P6", "P7", "P8": try await StoreComparisons(options: options).run(what)
                case "P10": MeshStateMeasures(count: options.count ?? 200_000).report(pairs: options.pairs)
                case "more": try await compareOthers(events, raw, many, some)
                default: try await reportSteps(some)
                }
            isReached = reached && isReached
            // To a pipe, too, a row goes as soon as it is there.
            fflush(nil)
        }
        return isReached
    }

    private static func receiving(_ name: String, _ bound: Goal.Bound) -> Goal {
        Goal(name: name, yardstick: "raw libnats to callback", bound: bound, unit: .rate)
    }

    private func compareSequences(_ events: EventMeasures, _ raw: RawMeasures, _ count: Int) async throws -> Bool {
        let free = try await options.compare(
            [Self.receiving("P3 emit to AsyncSequence, off any actor", .atLeast(0.9))],
            ours: events.iterate(count),
            yardstick: raw.receive(count)
        )
        let main = try await options.compare(
            [Self.receiving("P3 emit to AsyncSequence, on the main actor", .atLeast(0.9))],
            ours: events.iterateOnMainActor(count),
            yardstick: raw.receive(count)
        )
        return free && main
    }

    private func compareOneAtATime(_ events: EventMeasures, _ raw: RawMeasures) async throws -> Bool {
        let rounds = 10_000
        let goals = ["p50", "p99"].map { part in
            Goal(name: "P4 one at a time, \(part)", yardstick: "raw libnats SendAsap", bound: .atMost(1.6), unit: .time)
        }
        return try await options.compare(goals, ours: events.oneAtATime(rounds), yardstick: raw.oneAtATime(rounds))
    }

    private func compareOthers(
        _ events: EventMeasures,
        _ raw: RawMeasures,
        _ many: Int,
        _ some: Int
    ) async throws -> Bool {
        _ = try await options.compare(
            [Goal(name: "   emit core, typed payloads", yardstick: "raw libnats", bound: .none, unit: .rate)],
            ours: events.emitPayloads(many),
            yardstick: raw.publish(many)
        )
        let client = try await ClientMeasures(url: server.url)
        _ = try await options.compare(
            [Goal(name: "   our client, publish", yardstick: "raw libnats", bound: .none, unit: .rate)],
            ours: client.publish(many),
            yardstick: raw.publish(many)
        )
        return try await options.compare(
            [Self.receiving("   our client, publish to receiver", .none)],
            ours: client.receive(some),
            yardstick: raw.receive(some)
        )
    }

    private func reportSteps(_ count: Int) async throws -> Bool {
        try await Steps(url: server.url, count: count, repetitions: options.pairs).report()
        return true
    }
}
