import EventWork
import Foundation
import MeshEvents

/// What one event costs, against the size of the payload, the number of subscribers, of emitters, of stored events and
/// of nodes.
struct Scaling {
    static let curves = ["payload", "subscribers", "emitters", "stream", "nodes", "keeper"]

    let options: Options
    let url: String

    /// Measures every curve, and prints the points as JSON, one a line.
    func report() async throws {
        for curve in Self.curves where options.curve ?? curve == curve {
            let points =
                switch curve {
                case "payload": try await payloadSizes()
                case "subscribers": try await subscribers()
                case "emitters": try await emitters()
                case "stream": try await streamLengths()
                case "nodes": try await nodes()
                default: try await keepers()
                }
            let encoder = JSONEncoder()
            encoder.outputFormatting = .sortedKeys
            for point in points { print(String(decoding: try encoder.encode(point), as: UTF8.self)) }
            fflush(nil)
        }
    }

    /// From the smallest event with two fields to nearly as much as a server takes.
    private func payloadSizes() async throws -> [ScalingPoint] {
        let measures = try await PayloadMeasures(url: url)
        var points: [ScalingPoint] = []
        for size in [PayloadMeasures.smallest, 1_000, 10_000, 100_000, 900_000] {
            // About 200 MB at most.
            let count = max(200, min(options.count(200_000), options.count(200_000_000) / size))
            points += try await alternate(
                "payload",
                size,
                [
                    ("emit to handler", measures.handle(count, size: size)),
                    ("raw libnats to callback", measures.raw(count, size: size)),
                ]
            )
        }
        return points
    }

    private func subscribers() async throws -> [ScalingPoint] {
        let measures = try await SubscriberMeasures(url: url)
        var points: [ScalingPoint] = []
        for size in [1, 10, 100, 1_000] {
            points += try await alternate(
                "subscribers",
                size,
                [
                    ("each another type", measures.patterns(options.count(200_000), subscribers: size)),
                    ("all the same events, a delivery", measures.fanOut(options.count(200_000), subscribers: size)),
                ]
            )
        }
        return points
    }

    private func emitters() async throws -> [ScalingPoint] {
        let measures = try await EmitterMeasures(url: url)
        var points: [ScalingPoint] = []
        for size in [1, 2, 4, 8, 16] {
            points += try await alternate(
                "emitters",
                size,
                [
                    ("emit", measures.emit(options.count(400_000), threads: size)),
                    ("raw libnats publish", measures.raw(options.count(400_000), threads: size)),
                ]
            )
        }
        return points
    }

    /// Microseconds a query; the stream grows from one length to the next.
    private func streamLengths() async throws -> [ScalingPoint] {
        let store = try await StoreMeasures()
        var points: [ScalingPoint] = []
        var stored = 0
        var lengths = options.isQuick ? [10_000, 100_000] : [10_000, 100_000, 1_000_000]
        if options.isLong { lengths.append(10_000_000) }
        do {
            for length in lengths {
                try await store.extend(stored..<length, userEventEvery: 100)
                stored = length
                func microseconds(_ measure: @escaping Measure) -> Measure { { try await measure().map { $0 * 1000 } } }
                let newest = store.history("events.user.bench", limit: 50, expecting: 50, repetitions: 5)
                let all = store.history(.all, limit: 1_000, expecting: 1_000, repetitions: 5)
                points += try await alternate(
                    "stream",
                    length,
                    [
                        ("newest 50, 1 in 100 matches (us)", microseconds(newest)),
                        ("newest 1000 (us)", microseconds(all)),
                    ]
                )
            }
        } catch {
            await store.close()
            throw error
        }
        await store.close()
        return points
    }

    private func nodes() async throws -> [ScalingPoint] {
        var points: [ScalingPoint] = []
        for size in [10, 30, 100, 300, 1_000] {
            let fold = MeshStateMeasures.fold(options.count(200_000), nodes: size)
            points += try await alternate("nodes", size, [("fold a health event", fold)])
        }
        return points
    }

    /// A keeper of simulated nodes with 30 tools each, which emit each 10 s.
    private func keepers() async throws -> [ScalingPoint] {
        var points: [ScalingPoint] = []
        for size in [100, 1_000, 10_000] {
            let cost = try await KeeperMeasures.measure(nodes: size, seconds: options.isQuick ? 10 : 60)
            points.append(ScalingPoint("keeper", "processor (thousandths of one)", size, [cost.share * 1_000]))
            points.append(ScalingPoint("keeper", "memory (MB)", size, [cost.memory / 1e6]))
            points.append(ScalingPoint("keeper", "saved state behind the stream (events)", size, [cost.behind]))
        }
        return points
    }

    /// Runs the lines' measures by turns, after a round that does not count.
    private func alternate(
        _ curve: String,
        _ size: Int,
        _ lines: [(name: String, measure: Measure)]
    ) async throws -> [ScalingPoint] {
        var samples = lines.map { _ in [Double]() }
        for round in 0...options.pairs {
            for index in lines.indices {
                let values = try await lines[index].measure()
                if round > 0, let value = values.first { samples[index].append(value) }
            }
        }
        return zip(lines, samples).map { ScalingPoint(curve, $0.name, size, $1) }
    }
}
