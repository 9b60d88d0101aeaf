import MeshEvents
import MessageGrammar
package import NATSClient

/// Where the mesh's stream is: its name, the prefix or domain of JetStream's API, and the prefix of reply subjects.
package struct StreamPlace: Sendable, Hashable {
    /// The environment variables that set these values; see the wire contract.
    package static let variables = [
        "MESH_EVENTS_STREAM", "MESH_EVENTS_JS_DOMAIN", "MESH_EVENTS_JS_PREFIX", "MESH_EVENTS_INBOX_PREFIX",
    ]

    /// The variable with the JetStream domain.
    package static var domainVariable: String { variables[1] }
    /// The variable with the prefix of the subjects of JetStream's API.
    package static var prefixVariable: String { variables[2] }
    /// The variable with the prefix of reply subjects.
    package static var inboxVariable: String { variables[3] }

    /// The stream's name; `nil` for the default, `MESH_EVENTS`.
    package let stream: String?
    /// The JetStream domain of the servers that keep the stream; `nil` for that of the server connected to.
    package let domain: String?
    /// The prefix of the subjects of JetStream's API, instead of a domain; `nil` for `$JS.API`.
    package let prefix: String?
    /// The prefix of reply subjects; `nil` for `_INBOX`, with an NKey followed by the start of its public key.
    package let inbox: String?

    /// Takes each value from its option, or else from the environment.
    ///
    /// - Throws: `invalidArgument` for a text that cannot be a name or a subject, and for a domain together with a
    ///   prefix.
    package init(
        stream: String? = nil,
        domain: String? = nil,
        prefix: String? = nil,
        inbox: String? = nil,
        _ environment: [String: String]
    ) throws(NATSError) {
        func value(_ option: String?, _ variable: String) -> (text: String, source: String)? {
            if let option { return (option, "--" + variable.dropFirst(12).lowercased().replacing("_", with: "-")) }
            return environment[variable].flatMap { $0.isEmpty ? nil : ($0, variable) }
        }
        self.stream = try Self.name(value(stream, Self.variables[0]))
        // A domain or a prefix as an option replaces both variables.
        let fromEnvironment = domain == nil && prefix == nil
        let domain = domain != nil || fromEnvironment ? value(domain, Self.variables[1]) : nil
        let prefix = prefix != nil || fromEnvironment ? value(prefix, Self.variables[2]) : nil
        if let domain, let prefix {
            throw NATSError(.invalidArgument, "\(domain.source) and \(prefix.source) exclude each other; give one")
        }
        self.domain = try Self.name(domain)
        self.prefix = try Self.subject(prefix)
        self.inbox = try Self.subject(value(inbox, Self.variables[3]))
    }

    /// A connection's configuration with these prefixes, where they are given.
    package func applied(to configuration: NATSConnection.Configuration) -> NATSConnection.Configuration {
        var configuration = configuration
        if let inbox { configuration.inboxPrefix = inbox }
        if let prefix = prefix ?? domain.map(JetStream.prefix(ofDomain:)) { configuration.jetStreamPrefix = prefix }
        return configuration
    }

    /// The name of the stream.
    package var streamName: String { stream ?? PersistentEventBus.Configuration().streamName }

    /// The environment variables that give another program the same values; empty ones count as not set.
    package var environment: [String: String] {
        guard self != .standard else { return [:] }
        return [
            Self.variables[0]: stream ?? "", Self.variables[1]: domain ?? "", Self.variables[2]: prefix ?? "",
            Self.variables[3]: inbox ?? "",
        ]
    }

    private static let standard = StreamPlace()

    private init() { (stream, domain, prefix, inbox) = (nil, nil, nil, nil) }

    private static func name(_ value: (text: String, source: String)?) throws(NATSError) -> String? {
        guard let value else { return nil }
        guard SubjectGrammar.isName(value.text) else {
            throw NATSError(
                .invalidArgument,
                "\(value.source) takes a name without white space, '.', '*', '>', '/' and '\\', not "
                    + value.text.debugDescription
            )
        }
        return value.text
    }

    private static func subject(_ value: (text: String, source: String)?) throws(NATSError) -> String? {
        guard let value else { return nil }
        guard let prefix = SubjectGrammar.prefix(value.text) else {
            throw NATSError(
                .invalidArgument,
                "\(value.source) takes a prefix of subjects, tokens separated by dots and without wildcards, not "
                    + value.text.debugDescription
            )
        }
        return prefix
    }
}
