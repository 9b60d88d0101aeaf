import ArgumentParser
import MeshDashboard
import MeshMetrics

/// The options for the metrics: their own address, who may ask for them, and their bounds.
struct MetricsOptions: ParsableArguments {
    /// The environment variable for the token, instead of a file.
    static let tokenVariable = "MESH_EVENTS_METRICS_TOKEN"
    /// How many series an answer may have at most.
    private static let series = 100...1_000_000

    @Option(
        name: .customLong("metrics"),
        help: ArgumentHelp(
            "Answer /metrics for Prometheus on this address, such as 127.0.0.1:9464. Any address other than loopback needs "
                + "a token.",
            valueName: "host:port"
        )
    )
    var address: String?

    @Option(
        name: .customLong("metrics-token-file"),
        help: ArgumentHelp(
            "A file with the token that /metrics asks for, on the page too; only you may read it. Default: "
                + "$\(Self.tokenVariable), else none.",
            valueName: "file"
        )
    )
    var tokenFile: String?

    @Option(
        name: .customLong("metrics-series"),
        help: ArgumentHelp("How many series an answer has at most. Default: 50000.", valueName: "n")
    )
    var maximumSeries: Int?

    /// The first given option that needs metrics; `nil` when there is none.
    var firstOption: String? {
        if tokenFile != nil { return "--metrics-token-file" }
        return maximumSeries == nil ? nil : "--metrics-series"
    }

    /// The token from the file or the environment; `nil` for none.
    ///
    /// - Throws: `CommandFailure`, usage.
    func token(_ environment: [String: String]) throws -> String? {
        try DashboardOptions.token("--metrics-token-file", tokenFile, environment[Self.tokenVariable])
    }

    /// The metrics' server; `nil` without `--metrics`.
    ///
    /// - Parameters:
    ///   - access: the certificate that it shares with the page.
    ///   - environment: the environment.
    /// - Throws: `CommandFailure`, usage.
    func server(_ access: PageAccess, _ environment: [String: String]) throws -> MetricsServer.Configuration? {
        guard let address else { return nil }
        let (host, port) = try DashboardOptions.address(address, of: "the metrics", example: "127.0.0.1:9464")
        return MetricsServer.Configuration(
            host: host,
            port: port,
            token: try token(environment),
            certificate: access.certificate
        )
    }

    /// What is in the metrics, and how much.
    ///
    /// - Parameter registry: the metrics of this process.
    /// - Throws: `CommandFailure`, usage.
    func source(_ registry: MetricRegistry) throws -> MeshMetricsSource.Configuration {
        var configuration = MeshMetricsSource.Configuration(registry: registry)
        guard let maximumSeries else { return configuration }
        guard Self.series.contains(maximumSeries) else {
            throw CommandFailure(
                .usage,
                "--metrics-series takes a number from \(Self.series.lowerBound) to \(Self.series.upperBound), not "
                    + "\(maximumSeries)"
            )
        }
        configuration.maximumSeries = maximumSeries
        return configuration
    }

    /// Warns when the mesh needs a login but the metrics do not.
    ///
    /// - Parameter needsLogin: whether the mesh needs one.
    static func warn(_ configuration: MetricsServer.Configuration?, needsLogin: Bool) {
        guard needsLogin, let configuration, configuration.token == nil else { return }
        Diagnostics.say(
            "warning: the mesh needs a login, the metrics do not: any user of this machine can read them; give them a token "
                + "with --metrics-token-file"
        )
    }
}
