import EventWork
import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import NATSClient

/// What it costs to be safe: the same work with and without.
struct SafetyComparisons {
    let options: Options
    /// A server without TLS.
    let url: String

    /// Prints the rows; there are no goals.
    func report() async throws {
        try await compareTLS()
        try await compareSignatures()
        try await compareAcknowledgements()
        try await ObservabilityComparisons(options: options, url: url).report()
    }

    private func compareTLS() async throws {
        let certificate = try SelfSignedCertificate()
        let server = try await LocalNATSServer.start(
            LocalNATSServer.Configuration(
                jetStream: false,
                extraConfiguration: """
                    max_pending: 1073741824
                    tls { cert_file: "\(certificate.file)", key_file: "\(certificate.keyFile)" }
                    """
            )
        )
        let result: Result<Void, any Error>
        do {
            let tls = NATSConnection.TLSConfiguration(certificateAuthorityFile: certificate.file)
            let safe = try await EventMeasures(url: server.url, tls: tls)
            let plain = try await EventMeasures(url: url)
            let count = options.count(250_000)
            _ = try await options.compare(
                [Self.row("emit to handler, with TLS", "without", .rate)],
                ours: safe.handle(count),
                yardstick: plain.handle(count)
            )
            let rounds = options.count(10_000)
            _ = try await options.compare(
                [Self.row("one at a time, p50, with TLS", "without", .time)],
                ours: safe.oneAtATime(rounds),
                yardstick: plain.oneAtATime(rounds)
            )
            result = .success(())
        } catch {
            result = .failure(error)
        }
        await server.stop()
        try result.get()
    }

    /// Into the same file stream: until each event is acknowledged, or until the server has taken it.
    private func compareAcknowledgements() async throws {
        let store = try await StoreMeasures()
        let result: Result<Void, any Error>
        do {
            let count = options.count(200_000)
            _ = try await options.compare(
                [Self.row("emit into a file stream, acknowledged, with ids", "neither", .rate)],
                ours: store.emit(count),
                yardstick: store.emitUnacknowledged(count)
            )
            result = .success(())
        } catch {
            result = .failure(error)
        }
        await store.close()
        try result.get()
    }

    static func row(_ name: String, _ yardstick: String, _ unit: Unit) -> Goal {
        Goal(name: "   \(name)", yardstick: yardstick, bound: .none, unit: unit)
    }
}
