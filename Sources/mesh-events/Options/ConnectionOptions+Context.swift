import Foundation
import MeshEvents
import MeshEventsNATS
import NATSClient

extension ConnectionOptions {
    /// The context that the option or the environment names; `nil` when neither does.
    func namedContext(_ environment: [String: String]) throws -> UsedContext? {
        try UsedContext(context, environment, includesSelected: false)
    }

    /// The context that counts. The selected one counts only when no server is named: otherwise its login would go to a
    /// server that was meant for another one.
    ///
    /// - Parameter servers: the servers that the caller has named; `nil` for none.
    func chosenContext(_ environment: [String: String], servers: String?) throws -> UsedContext? {
        let isNamed = servers != nil || namedServers(environment) != nil
        return try UsedContext(context, environment, includesSelected: !isNamed)
    }

    /// The servers of options, environment or context, else the default.
    func serversOrDefault(_ environment: [String: String] = ProcessInfo.processInfo.environment) throws -> String {
        let chosen = try chosenContext(environment, servers: nil)
        return namedServers(chosen?.environment ?? environment) ?? chosen?.context.url ?? Self.defaultURL
    }

    /// The servers of a node: those of the option, the environment, or a context that one of them names; `nil` for none.
    ///
    /// The selected context does not count: a node without a server starts its own, and the choice of another program must
    /// not change which mesh it is in.
    func nodeServers(_ environment: [String: String]) throws -> (servers: String, source: String)? {
        if let servers { return (servers, "--nats") }
        let named = try namedContext(environment)
        if let servers = namedServers(named?.environment ?? environment) { return (servers, "JB_NATS_URL") }
        guard let named else { return nil }
        return (named.context.url, named.chooser == .caller ? "--context" : NATSContextDirectory.variable)
    }

    /// Environment variables with which the tools of a node find the mesh of its context, besides their server's address;
    /// none without a context that an option or the environment names.
    ///
    /// - Parameter identity: whether the tools log in as the node does.
    /// - Throws: `CommandFailure` when tools cannot log in as the context says.
    func contextVariables(_ environment: [String: String], identity: Bool) throws -> [String: String] {
        guard let named = try namedContext(environment) else { return [:] }
        let context = named.context
        let configuration = try configuration(servers: context.url, environment, name: "")
        var variables: [String: String] = [:]
        variables[LoginOptions.authorityVariable] = (configuration.tls?.certificateAuthorityFile).map(AbsolutePath.of)
        if let prefix = configuration.jetStreamPrefix {
            // A domain is in the prefix.
            (variables[StreamPlace.prefixVariable], variables[StreamPlace.domainVariable]) = (prefix, "")
        }
        variables[StreamPlace.inboxVariable] = configuration.inboxPrefix
        if identity {
            variables[LoginOptions.certificateVariable] = (configuration.tls?.certificateFile).map(AbsolutePath.of)
            variables[LoginOptions.certificateKeyVariable] = (configuration.tls?.privateKeyFile).map(AbsolutePath.of)
            switch configuration.authentication {
            case .credentialsFile(let path): variables[LoginOptions.credentialsVariable] = AbsolutePath.of(path)
            case .nkeyFile(let path): variables[LoginOptions.keyVariable] = AbsolutePath.of(path)
            case .jwt, .nkey:
                throw CommandFailure(
                    .usage,
                    "the tools of a node cannot log in as the context \(context.name.debugDescription) says: put its login "
                        + "into a file that creds or nkey names, or give them a key of their own with --tool-nkey"
                )
            default: break
            }
        }
        // Tools inherit variables of the node's environment; those that the context outranks must not count. They get the
        // server's address in any case.
        let outranked = environment.keys.filter { named.environment[$0] == nil && $0 != "JB_NATS_URL" }
        for name in outranked where variables[name] == nil { variables[name] = "" }
        if configuration.socksProxy != nil || configuration.tls?.handshakeFirst == true {
            Diagnostics.say(
                "the tools of this node are not told about socks_proxy and tls_first of the context \(context.name)"
            )
        }
        return variables
    }
}

/// A context that counts: what it says, and what is left of the environment beside it.
struct UsedContext {
    let context: NATSContext
    let chooser: ChosenNATSContext.Chooser
    /// How to connect as the context alone says.
    let configuration: NATSConnection.Configuration
    /// The environment without the variables that the context outranks.
    ///
    /// Variables win over a context, except over one that an option names: an option wins over variables, and
    /// `--context production` must not lead to the server of a forgotten variable. What such a context does not say itself,
    /// variables still do.
    let environment: [String: String]

    /// Finds a context and reads it; `nil` for none.
    ///
    /// - Parameters:
    ///   - name: the name that an option gives, or the path of its file; `nil` for none.
    ///   - environment: all variables.
    ///   - includesSelected: whether the selected one counts, when neither an option nor a variable names one.
    /// - Throws: `CommandFailure` when there is no such context, or it cannot be used.
    init?(_ name: String?, _ environment: [String: String], includesSelected: Bool) throws {
        do throws(NATSError) {
            guard let chosen = try ChosenNATSContext(name, environment, includesSelected: includesSelected) else {
                return nil
            }
            context = chosen.context
            chooser = chosen.chooser
            configuration = try chosen.context.configuration(environment: environment)
        } catch {
            throw CommandFailure(.usage, error.message)
        }
        guard chooser == .caller else {
            self.environment = environment
            return
        }
        let outranked = Self.variables(context, configuration)
        self.environment = environment.filter { !outranked.contains($0.key) }
    }

    /// The variables of what a context says itself.
    private static func variables(
        _ context: NATSContext,
        _ configuration: NATSConnection.Configuration
    ) -> [String] {
        var variables: [String] = []
        if context.namesServers { variables.append("JB_NATS_URL") }
        var logsIn = configuration.servers.contains(where: \.hasLogin) || configuration.tls?.certificateFile != nil
        if case .none = configuration.authentication {} else { logsIn = true }
        if logsIn { variables += LoginOptions.loginVariables }
        if configuration.tls?.certificateAuthorityFile != nil { variables.append(LoginOptions.authorityVariable) }
        if configuration.jetStreamPrefix != nil {
            variables += [StreamPlace.domainVariable, StreamPlace.prefixVariable]
        }
        if configuration.inboxPrefix != nil { variables.append(StreamPlace.inboxVariable) }
        return variables
    }

    /// What to add to the error of a failed connection.
    var reminder: String {
        let name = context.name.debugDescription
        return switch chooser {
        case .caller: " (context \(name))"
        case .environment: " (context \(name), which NATS_CONTEXT names)"
        case .selection:
            " (context \(name), which `nats context select` has chosen; --nats, --context and JB_NATS_URL name another server)"
        }
    }
}
