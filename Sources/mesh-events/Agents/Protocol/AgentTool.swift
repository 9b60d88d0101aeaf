import MeshEvents

/// A tool that agents can call.
struct AgentTool: Sendable {
    /// What calling it does to the mesh.
    enum Effect: Sendable {
        /// It reads, and changes nothing.
        case reads
        /// It changes something, and interrupts nothing.
        case adds
        /// It may interrupt work.
        case interrupts

        /// The hints for clients.
        ///
        /// - Parameter isIdempotent: whether doing it twice is as doing it once.
        fileprivate func annotations(_ title: OwnWords, isIdempotent: Bool) -> JSONValue {
            var members: [(String, JSONValue)] = [("title", .string(title.text)), ("openWorldHint", false)]
            switch self {
            case .reads: members.append(("readOnlyHint", true))
            case .adds, .interrupts:
                members += [
                    ("readOnlyHint", false), ("destructiveHint", .bool(self == .interrupts)),
                    ("idempotentHint", .bool(isIdempotent)),
                ]
            }
            return .object(JSONObject(members))
        }
    }

    let name: OwnWords
    let title: OwnWords
    let description: OwnWords
    let fields: [AgentField]
    var effect = Effect.reads
    /// Whether doing it twice is as doing it once; of what changes something.
    var isIdempotent = true
    /// How long a call may take.
    var limit: @Sendable (AgentArguments) -> Duration = { _ in .seconds(60) }
    /// Answers a call.
    let run: @Sendable (AgentArguments, AgentClient) async throws -> AgentAnswer

    /// The tool in the list for clients.
    func json(_ version: AgentProtocolVersion) -> JSONValue {
        var members: [(String, JSONValue)] = [
            ("name", .string(name.text)), ("description", .string(description.text)), ("inputSchema", fields.schema),
        ]
        if version.hasAnnotations {
            members.append(("annotations", effect.annotations(title, isIdempotent: isIdempotent)))
        }
        if version.hasStructuredContent {
            members += [("title", .string(title.text)), ("outputSchema", AgentAnswer.schema)]
        }
        return .object(JSONObject(members))
    }
}

/// The client of a session, as it names itself.
struct AgentClient: Sendable, Hashable {
    /// Its name, a text of others; empty when it has none.
    var name = ""
}

/// The versions of the Model Context Protocol, older ones first.
enum AgentProtocolVersion: String, Sendable, CaseIterable, Comparable {
    case november2024 = "2024-11-05"
    case march2025 = "2025-03-26"
    case june2025 = "2025-06-18"
    case november2025 = "2025-11-25"

    /// The version to speak with a client that offers one: the same, or the newest when that is not known.
    static func negotiated(_ offer: String) -> AgentProtocolVersion {
        AgentProtocolVersion(rawValue: offer) ?? .november2025
    }

    static func < (one: AgentProtocolVersion, other: AgentProtocolVersion) -> Bool { one.rawValue < other.rawValue }

    /// Whether tools have annotations.
    var hasAnnotations: Bool { self >= .march2025 }
    /// Whether tools have titles, and results have `structuredContent`.
    var hasStructuredContent: Bool { self >= .june2025 }
    /// Whether several messages can come as a list.
    var hasBatches: Bool { self == .march2025 }
}
