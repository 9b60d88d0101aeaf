import ArgumentParser
import FileReading
import Foundation
import MeshDashboard
import MeshEvents
import MeshEventsSigning
import NATSClient

/// The options for a dashboard's access and what it allows.
struct DashboardOptions: ParsableArguments {
    /// The environment variable for the token, instead of a file.
    static let tokenVariable = "MESH_EVENTS_DASHBOARD_TOKEN"

    @Option(
        name: .customLong("token-file"),
        help: ArgumentHelp(
            "A file with the token that the page asks for; only you may read it. Default: $\(Self.tokenVariable), else "
                + "none.",
            valueName: "file"
        )
    )
    var tokenFile: String?

    @Option(
        name: .customLong("users"),
        help: ArgumentHelp(
            "Those who log in to the page with tokens of their own, and their roles; only you may read the file. Read again "
                + "on SIGHUP.",
            valueName: "file"
        )
    )
    var usersFile: String?

    @Option(
        name: .customLong("https-cert"),
        help: ArgumentHelp(
            "Serve HTTPS with this certificate, PEM; with --https-key. Read again when it changes.",
            valueName: "file"
        )
    )
    var certificate: String?

    @Option(
        name: .customLong("https-key"),
        help: ArgumentHelp("The key of --https-cert, PEM; only you may read it.", valueName: "file")
    )
    var certificateKey: String?

    @Flag(name: .customLong("allow-emit"), help: "Let clients with the token, or admins, emit events over HTTP.")
    var allowsEmit = false

    @Flag(
        name: .customLong("allow-control"),
        help: "Let clients with the token, or operators, start, stop and restart tools; the page has buttons for it."
    )
    var allowsControl = false

    @Option(
        name: .customLong("allow-host"),
        help: ArgumentHelp("A host name that browsers may use for the page; may be repeated.", valueName: "name")
    )
    var hostNames: [String] = []

    @Option(
        help: ArgumentHelp(
            "Mark each event as signed, unsigned or forged. Each line of the file has a node's name and its public "
                + "key (U…).",
            valueName: "file"
        )
    )
    var trust: String?

    @Option(name: .customLong("page-directory"), help: .hidden)
    var pageDirectory: String?

    /// The first given option that needs a dashboard; `nil` when there is none.
    var firstOption: String? {
        if tokenFile != nil { return "--token-file" }
        if usersFile != nil { return "--users" }
        if allowsEmit { return "--allow-emit" }
        if allowsControl { return "--allow-control" }
        return hostNames.isEmpty ? nil : "--allow-host"
    }

    /// The first given option about HTTPS, which the page and the metrics share; `nil` when there is none.
    var firstHTTPSOption: String? {
        if certificate != nil { return "--https-cert" }
        return certificateKey == nil ? nil : "--https-key"
    }

    /// The certificate and the users.
    ///
    /// - Throws: `CommandFailure`, usage; `MeshEventsError` for files that cannot be used.
    func access() throws -> PageAccess {
        try PageAccess(certificate: certificate, key: certificateKey, users: usersFile)
    }

    /// The check of signatures; `nil` without `--trust`.
    ///
    /// - Throws: `invalidArgument` for a file that is no trust list.
    func verification() throws -> SignatureVerification? {
        try trust.map { SignatureVerification(try TrustList(file: $0), policy: .accept) }
    }

    /// The dashboard's configuration from the options and the environment.
    ///
    /// - Parameters:
    ///   - listen: the address and the port; `nil` for the default.
    ///   - access: the certificate and the users.
    ///   - environment: the environment.
    /// - Throws: `CommandFailure`, usage; `MeshEventsError` for a list of users that cannot be used.
    func configuration(
        listen: String?,
        _ access: PageAccess,
        _ environment: [String: String]
    ) throws -> Dashboard.Configuration {
        let example = "127.0.0.1:8080"
        let (host, port) = try Self.address(listen ?? example, of: "the page", example: "\(example) or 0.0.0.0:8080")
        let token = try Self.token("--token-file", tokenFile, environment[Self.tokenVariable])
        let hasLogin = token != nil || access.usersFile != nil
        for (isGiven, option) in [(allowsEmit, "--allow-emit"), (allowsControl, "--allow-control")]
        where isGiven && !hasLogin {
            throw CommandFailure(
                .usage,
                "\(option) needs a token: --users, --token-file, or \(Self.tokenVariable)"
            )
        }
        for name in hostNames where !Self.isHostName(name) {
            throw CommandFailure(
                .usage,
                "--allow-host takes the name of a host, like pi.local, without scheme and port, not "
                    + name.debugDescription
            )
        }
        return Dashboard.Configuration(
            host: host,
            port: port,
            token: token,
            users: try access.users(),
            certificate: access.certificate,
            hostNames: hostNames,
            pageDirectory: pageDirectory
        )
    }

    /// Whether a text is a host name for a `Host` header (RFC 1123, section 2.1; underscores are accepted too).
    private static func isHostName(_ name: String) -> Bool {
        let labels = name.split(separator: ".", omittingEmptySubsequences: false)
        return name.utf8.count <= 253
            && labels.allSatisfy { label in
                (1...63).contains(label.utf8.count) && label.first != "-" && label.last != "-"
                    && label.utf8.allSatisfy { byte in
                        switch byte {
                        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
                            true
                        default: false
                        }
                    }
            }
    }

    /// Warns when the mesh needs a login but the page does not.
    ///
    /// - Parameter needsLogin: whether the mesh needs one.
    static func warn(_ configuration: Dashboard.Configuration, needsLogin: Bool) {
        guard needsLogin, configuration.token == nil, configuration.users == nil else { return }
        Diagnostics.say(
            "warning: the mesh needs a login, the page does not: any user of this machine can see the mesh on it; give "
                + "it users with --users, or a token with --token-file"
        )
    }

    /// Reads an address to listen on.
    ///
    /// - Parameters:
    ///   - listen: the address and the port.
    ///   - what: what listens, for the error.
    ///   - example: an address that is right, for the error.
    /// - Throws: `CommandFailure`, usage.
    static func address(_ listen: String, of what: String, example: String) throws -> (host: String, port: Int) {
        let colon = listen.lastIndex(of: ":")
        var host = colon.map { String(listen[..<$0]) } ?? ""
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        // Only digits: `UInt16` would accept a sign too.
        guard let colon, let port = UInt16(listen[listen.index(after: colon)...]),
            listen[listen.index(after: colon)...].utf8.allSatisfy({ (0x30...0x39).contains($0) }), !host.isEmpty
        else {
            throw CommandFailure(
                .usage,
                "\(what) can be had on an address and a port, like \(example), not on \(listen.debugDescription)"
            )
        }
        return (host, Int(port))
    }

    /// Reads a token from a file, else from the environment; `nil` for none.
    ///
    /// - Parameters:
    ///   - option: the option that names the file, for errors.
    ///   - file: the file; `nil` for none.
    ///   - variable: the value of the environment's variable.
    /// - Throws: `CommandFailure`, usage.
    static func token(_ option: String, _ file: String?, _ variable: String?) throws -> String? {
        guard let file else { return variable.flatMap { $0.isEmpty ? nil : $0 } }
        do throws(NATSError) {
            return try SecretFile("file of \(option),", file).text()
                .trimmingCharacters(in: .whitespacesAndNewlines)
        } catch {
            throw CommandFailure(.usage, error.message)
        }
    }
}
