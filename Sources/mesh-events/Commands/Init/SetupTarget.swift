import Foundation

/// A target of alerts that `init` writes down: `ntfy=https://ntfy.sh/lab`, or `slack`, whose address is in a variable.
struct SetupTarget: Sendable, Equatable {
    /// The kinds whose address is all that they need.
    enum Kind: String, CaseIterable {
        case ntfy
        case slack
        case discord
        case webhook

        /// The target's name in the manifest.
        var name: String {
            switch self {
            case .ntfy: "phone"
            case .slack, .discord: "team"
            case .webhook: "hook"
            }
        }

        /// The variable that has the address, unless one is given.
        var variable: String {
            switch self {
            case .ntfy: "NTFY_URL"
            case .slack: "SLACK_WEBHOOK"
            case .discord: "DISCORD_WEBHOOK"
            case .webhook: "WEBHOOK_URL"
            }
        }

        /// An address of the kind, made up.
        var example: String {
            switch self {
            case .ntfy: "https://ntfy.sh/my-topic"
            case .slack: "https://hooks.slack.com/services/T/B/key"
            case .discord: "https://discord.com/api/webhooks/1/key"
            case .webhook: "https://example.org/hook"
            }
        }

        /// Whether the address alone lets its bearer write there.
        var addressIsSecret: Bool { self == .slack || self == .discord }
    }

    let kind: Kind
    /// The address, with `${NAME}` for variables.
    let address: String

    /// Reads `KIND` or `KIND=ADDRESS`.
    ///
    /// - Throws: `CommandFailure`, usage: no such kind, or an address with a secret in it. The address is in no message.
    init(_ text: String) throws {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let kinds = Kind.allCases.map(\.rawValue).joined(separator: ", ")
        guard let kind = parts.first.flatMap({ Kind(rawValue: String($0)) }) else {
            throw CommandFailure(
                .usage,
                "whom to tell of alerts is one of \(kinds), with an address, such as ntfy=\(Kind.ntfy.example)"
            )
        }
        self.kind = kind
        guard parts.count == 2 else {
            address = "${\(kind.variable)}"
            return
        }
        address = String(parts[1])
        guard !address.isEmpty else {
            throw CommandFailure(.usage, "\(kind.rawValue)= lacks the address, such as \(kind.example)")
        }
        let isSecret = kind.addressIsSecret && Self.variables(address).isEmpty
        guard isSecret || Self.hasSecret(address) else { return }
        throw CommandFailure(
            .usage,
            "this address of \(kind.rawValue) has a secret in it, which does not belong in the file: give "
                + "`--notify \(kind.rawValue)` alone, and set the variable \(kind.variable) to the address"
        )
    }

    /// Whether an address has a login or a query, which can be secrets, that is not from a variable.
    private static func hasSecret(_ address: String) -> Bool {
        let rest = address.split(separator: "//", maxSplits: 1).last ?? ""
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        let login = authority.lastIndex(of: "@").map { authority[..<$0] }
        let query = rest.firstIndex(of: "?").map { rest[$0...] }
        return [login, query].contains { $0.map { variables(String($0)).isEmpty } ?? false }
    }

    /// The names of the variables in it that must be set, in order.
    var variables: [String] { Self.variables(address) }

    private static func variables(_ text: String) -> [String] {
        text.matches(of: /\$\{([A-Za-z_][A-Za-z0-9_]*)\}/).map { String($0.1) }
    }

    /// The variables that are not set or empty in an environment.
    func missing(_ environment: [String: String]) -> [String] {
        variables.filter { (environment[$0] ?? "").isEmpty }
    }

    /// Whether a variable has the whole address.
    var isWhole: Bool { variables.first.map { address == "${\($0)}" } ?? false }

    /// Values for the variables with which the address can be checked.
    var examples: [String: String] {
        Dictionary(variables.map { ($0, isWhole ? kind.example : "x") }) { first, _ in first }
    }

    /// The part of the manifest.
    var section: String {
        let more =
            switch kind {
            case .ntfy: "# A topic with a login takes `token: \"${NTFY_TOKEN}\"` beside the address.\n"
            case .webhook: "# What it gets is signed when `secret: \"${HOOK_SECRET}\"` stands beside the address.\n"
            case .slack, .discord: ""
            }
        return """
            # Who is told of alerts, each under a name. `mesh-events alert test` sends all of them a test.
            \(more)notify:
              \(kind.name): {\(kind.rawValue): \(NodeSetup.quoted(address))}

            """
    }
}
