import CNATS
import Foundation
import LocalNATSServer

/// Compares the event bus with libnats, by turns, against one real server.
@main
struct MeshBench {
    static func main() async {
        do {
            let arguments = Array(CommandLine.arguments.dropFirst())
            if arguments.count == 4, arguments[0] == KeeperMeasures.role, let nodes = Int(arguments[2]),
                let seconds = Int(arguments[3])
            {
                return try await KeeperMeasures.keep(arguments[1], nodes: nodes, seconds: seconds)
            }
            let options = try Options(arguments)
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
        let processors = ProcessInfo.processInfo.activeProcessorCount
        print(
            "nats-server \(server.version), libnats \(String(cString: nats_GetVersion())), \(processors) processors, "
                + "\(options.pairs) pairs; medians, with the smallest and the largest of the pairs"
        )
        let bus = try await BusComparisons(options: options, url: server.url)
        var isReached = true
        for what in options.what {
            let reached =
                switch what {
                case "P5", "P6", "P7", "P8": try await StoreComparisons(options: options).run(what)
                case "P9": try await MemoryMeasures(url: server.url).report(seconds: options.seconds)
                case "P10": try await compareNodes()
                case "P11": try await StatusComparison(options: options).run()
                case "safety":
                    try await report { try await SafetyComparisons(options: options, url: server.url).report() }
                case "peer": try await report { try await PeerComparisons(options: options, url: server.url).report() }
                case "scaling": try await report { try await Scaling(options: options, url: server.url).report() }
                case "steps": try await report { try await reportSteps() }
                default: try await bus.run(what)
                }
            isReached = reached && isReached
            // To a pipe, too, a row goes as soon as it is there.
            fflush(nil)
        }
        return isReached
    }

    private func compareNodes() async throws -> Bool {
        let count = options.count(200_000)
        return try await options.compare(
            [
                Goal(
                    name: "P10 fold an event, 1000 nodes",
                    yardstick: "10 nodes",
                    bound: .atMost(1.3),
                    unit: .nanoseconds
                )
            ],
            ours: MeshStateMeasures.fold(count, nodes: 1_000),
            yardstick: MeshStateMeasures.fold(count, nodes: 10)
        )
    }

    private func reportSteps() async throws {
        try await Steps(url: server.url, count: options.count(250_000), repetitions: options.pairs).report()
    }

    /// Prints what has no goal.
    private func report(_ body: () async throws -> Void) async throws -> Bool {
        try await body()
        return true
    }
}
