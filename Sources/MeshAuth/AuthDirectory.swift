import Crypto
public import Foundation
import NKeys

/// A directory with everything that keeps unauthorised users out of a mesh: the users and their keys, its own
/// certificate authority, the server's certificate, and the configuration of a `nats-server` that knows them.
///
/// | file | what |
/// | --- | --- |
/// | `mesh-auth.json` | the users and hosts; nothing secret |
/// | `access.conf` | users, permissions and TLS for the server; the passwords of the users that have one |
/// | `nats-server.conf` | a complete configuration for `nats-server -c`, which includes `access.conf` |
/// | `ca.pem` | the authority's certificate: every client needs it |
/// | `ca.key`, `server.pem`, `server.key` | the authority's key, the server's certificate and key |
/// | `<name>.nk` | the seed of a user: that user needs it, and no other |
/// | `page.pem`, `page.key` | the certificate and key of the live page, when they were asked for |
/// | `page.users` | the users of the live page: names, roles and the hashes of their tokens |
/// | `<name>.page-token` | the token of a user for the live page: that user needs it, and no other |
/// | `<name>.password` | a password beside the key, for a user whose program does not support NKeys |
/// | `tools-ca.pem` | written by `serve` for its tools: the authorities of the system, and this one |
///
/// Only the owner can read the directory and the files with secrets. Every change is written completely or not at all.
public struct AuthDirectory: Sendable {
    struct Document: Codable {
        var version = 1
        var hosts: [String]
        var users: [MeshUser]
        /// The names under which the page's certificate is valid; `nil` when there is none.
        var pageHosts: [String]?
        /// The SHA-256 hash of the token for the page, by the name of the user.
        var pageTokens: [String: String]?
    }

    /// The names under which the server's certificate is valid in any case.
    public static let standardHosts = ["localhost", "127.0.0.1", "::1"]

    /// The directory's path.
    public let path: String
    private var document: Document

    /// The users who may log in, sorted by name.
    public var users: [MeshUser] { document.users.sorted { $0.name < $1.name } }
    /// The names and addresses under which the server's certificate is valid.
    public var hosts: [String] { document.hosts }
    /// The authority's certificate, which clients trust.
    public var authorityFile: String { file("ca.pem") }
    /// The live page's certificate, and its key.
    public var pageCertificate: (file: String, keyFile: String) { (file("page.pem"), file("page.key")) }
    /// The names and addresses under which the page's certificate is valid; empty when there is none.
    public var pageHosts: [String] { document.pageHosts ?? [] }
    /// The list of the page's users, for `--users` of `mesh-events dashboard`.
    public var pageUsersFile: String { file("page.users") }
    /// The complete configuration of a server that runs on its own.
    public var serverFile: String { file("nats-server.conf") }

    private init(path: String, document: Document) {
        self.path = path
        self.document = document
    }

    // MARK: Making and opening

    /// Makes a directory with a new authority, a server's certificate and one user for each role, named after the role.
    /// The user `tool` also has a password.
    ///
    /// - Parameters:
    ///   - path: the directory, created when missing. An existing one must belong to the caller; when it is empty it is
    ///     made private, otherwise it must be private.
    ///   - hosts: further names and addresses under which clients reach the server, besides ``standardHosts``.
    ///   - listen: the address that the server of ``serverFile`` listens on.
    ///   - nodes: the names of the nodes that log in as the user `node`; `nil` for `node`.
    ///   - pageHosts: names and addresses under which browsers reach the live page, besides ``standardHosts``, for a
    ///     certificate of its own; `nil` for none.
    /// - Throws: `alreadyExists` when the directory holds users; `invalidName`, `fileAccess`.
    public static func create(
        at path: String,
        hosts: [String] = [],
        listen: String = "127.0.0.1",
        nodes: [String]? = nil,
        pageHosts: [String]? = nil
    ) throws(MeshAuthError) -> AuthDirectory {
        for host in hosts + (pageHosts ?? []) { _ = try CertificateAuthority.name(of: host) }
        let all = standardHosts + hosts.filter { !standardHosts.contains($0) }
        var directory = AuthDirectory(path: absolute(path), document: Document(hosts: all, users: []))
        guard !FileManager.default.fileExists(atPath: directory.file(documentName)) else {
            throw MeshAuthError(
                .alreadyExists,
                "\(path) holds users already; add others with `mesh-events auth add`, or name another directory"
            )
        }
        try PrivateFile.makeDirectory(directory.path)
        let authority = try CertificateAuthority()
        let issued = try authority.issued()
        try directory.write("ca.key", issued.key)
        try directory.write("ca.pem", issued.certificate, mode: PrivateFile.publicMode)
        try directory.writeServerCertificate(authority)
        try directory.addPageHosts(pageHosts)
        try directory.writePageCertificate(authority)
        try directory.write("nats-server.conf", directory.serverConfiguration(listen: listen))
        for role in MeshRole.allCases {
            try directory.makeUser(role.rawValue, role, durables: nil, nodes: role == .node ? nodes : nil)
        }
        try directory.makePassword(MeshRole.tool.rawValue)
        try directory.save()
        return directory
    }

    /// Opens a directory that was made before.
    ///
    /// - Throws: `notFound`, `invalidFile`, `fileAccess`.
    public static func open(at path: String) throws(MeshAuthError) -> AuthDirectory {
        let directory = AuthDirectory(path: absolute(path), document: Document(hosts: [], users: []))
        let file = directory.file(documentName)
        let text = try PrivateFile(path: file).read()
        do {
            let document = try JSONDecoder().decode(Document.self, from: Data(text.utf8))
            return AuthDirectory(path: directory.path, document: document)
        } catch {
            throw MeshAuthError(.invalidFile, "\(file) was not written by `mesh-events auth`; restore a backup of it")
        }
    }

    // MARK: Users

    /// Adds a user with a new key. The server must then reload its configuration.
    ///
    /// - Parameters:
    ///   - name: the user's name.
    ///   - role: what the user may do.
    ///   - durables: the durables whose events the user may take; `nil` for one with the user's name.
    ///   - nodes: the nodes that the user answers for; `nil` for one with the user's name.
    ///   - password: whether the user may also log in with a password, which ``passwordFile(of:)`` holds.
    ///   - page: whether the user may log in to the live page, with the token that ``pageTokenFile(of:)`` holds.
    /// - Returns: the file with the seed, for that user.
    /// - Throws: `alreadyExists`, `invalidName`, `fileAccess`.
    @discardableResult
    public mutating func add(
        _ name: String,
        role: MeshRole,
        durables: [String]? = nil,
        nodes: [String]? = nil,
        password: Bool = false,
        page: Bool = false
    ) throws(MeshAuthError) -> String {
        if page { try Self.checkPage(name, role) }
        guard !document.users.contains(where: { $0.name == name }) else {
            throw MeshAuthError(
                .alreadyExists,
                "there is a user \(name) already; remove it first, or take another name"
            )
        }
        try makeUser(name, role, durables: durables, nodes: nodes)
        if password { try makePassword(name) }
        if page { try makePageToken(name) }
        try save()
        return seedFile(of: name)
    }

    /// Lets a user take the events of more durables, answer for more nodes, or also log in with a password or to the live
    /// page. The server, or the page, must then reload its configuration.
    ///
    /// - Throws: `notFound`, `invalidName`, `fileAccess`.
    public mutating func allow(
        _ name: String,
        durables: [String] = [],
        nodes: [String] = [],
        password: Bool = false,
        page: Bool = false
    ) throws(MeshAuthError) {
        guard let index = document.users.firstIndex(where: { $0.name == name }) else { throw Self.missing(name) }
        for durable in durables where !document.users[index].durables.contains(durable) {
            try MeshUser.check(durable: durable)
            document.users[index].durables.append(durable)
        }
        for node in nodes where !document.users[index].nodes.contains(node) {
            try MeshUser.check(node: node)
            document.users[index].nodes.append(node)
        }
        if page { try Self.checkPage(name, document.users[index].role) }
        if password, self.password(of: name) == nil { try makePassword(name) }
        if page, !isPageUser(name) { try makePageToken(name) }
        try save()
    }

    /// Removes a user, its seed, its password and its token for the page. The server must then reload its configuration, and
    /// the page its users; that disconnects the user.
    ///
    /// - Throws: `notFound`, `fileAccess`.
    public mutating func remove(_ name: String) throws(MeshAuthError) {
        guard document.users.contains(where: { $0.name == name }) else { throw Self.missing(name) }
        document.users.removeAll { $0.name == name }
        document.pageTokens?[name] = nil
        try save()
        try PrivateFile(path: seedFile(of: name)).remove()
        try PrivateFile(path: passwordFile(of: name)).remove()
        try PrivateFile(path: pageTokenFile(of: name)).remove()
    }

    private static func missing(_ name: String) -> MeshAuthError {
        MeshAuthError(.notFound, "there is no user \(name.debugDescription); `mesh-events auth list` shows all")
    }

    /// The user with the role node that answers for a node, and whose seed is in this directory.
    public func user(forNode node: String) -> MeshUser? {
        users.first {
            $0.role == .node && $0.nodes.contains(node) && FileManager.default.fileExists(atPath: seedFile(of: $0.name))
        }
    }

    /// The first user of a role whose seed is in this directory; the user named after the role comes first.
    public func user(_ role: MeshRole) -> MeshUser? {
        users.filter { $0.role == role && FileManager.default.fileExists(atPath: seedFile(of: $0.name)) }
            .min { ($0.name != role.rawValue ? 1 : 0, $0.name) < ($1.name != role.rawValue ? 1 : 0, $1.name) }
    }

    /// The file with a user's seed.
    public func seedFile(of name: String) -> String { file("\(name).nk") }

    /// The file with a user's password, when it has one.
    public func passwordFile(of name: String) -> String { file("\(name).password") }

    /// The file with a user's token for the live page, when it has one.
    public func pageTokenFile(of name: String) -> String { file("\(name).page-token") }

    /// Whether a user may log in to the live page.
    public func isPageUser(_ name: String) -> Bool { document.pageTokens?[name] != nil }

    /// A user's password, a secret: 32 letters and digits; `nil` for a user that has none.
    public func password(of name: String) -> String? {
        guard let text = try? PrivateFile(path: passwordFile(of: name)).read() else { return nil }
        let password = text.trimmingCharacters(in: .whitespacesAndNewlines)
        return password.isEmpty ? nil : password
    }

    /// Writes a file with the authorities of the system and this one, for programs in other languages that accept only
    /// one file.
    ///
    /// - Parameter systemFile: the system's authorities, PEM; `nil` for the usual places.
    /// - Returns: the file's path, for `SSL_CERT_FILE`.
    /// - Throws: `notFound`, `fileAccess`.
    public func writeTrustBundle(systemFile: String? = nil) throws(MeshAuthError) -> String {
        let own = try PrivateFile(path: authorityFile).read()
        let system = (systemFile.map { [$0] } ?? Self.systemAuthorities).lazy
            .compactMap { try? PrivateFile(path: $0).read() }.first
        try write("tools-ca.pem", (system.map { $0 + "\n" } ?? "") + own, mode: PrivateFile.publicMode)
        return file("tools-ca.pem")
    }

    /// The usual places of the system's authorities, as in Go's `crypto/x509`.
    private static let systemAuthorities = [
        "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
        "/etc/pki/tls/cacert.pem", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/cert.pem",
    ]

    // MARK: Server

    /// The part of a server's configuration with the users, their permissions, and TLS.
    public var serverAccess: String {
        ServerAccess(
            users: document.users,
            passwords: Dictionary(
                uniqueKeysWithValues: document.users.compactMap { user in
                    password(of: user.name).map { (user.name, $0) }
                }
            ),
            certificateFile: file("server.pem"),
            keyFile: file("server.key")
        ).text
    }

    /// Limits for all users; a server reads them only when it starts.
    public static var serverLimits: String { ServerAccess.limits }
    /// How many deliveries of a consumer may be without an answer, by the server's configuration.
    public static var maximumAcknowledgementsPending: Int { ServerAccess.maximumAcknowledgementsPending }

    /// Whether a server of this version, e.g. `2.12.8`, enforces the roles for all users.
    ///
    /// Servers before 2.12 send the acknowledgement of an event to whatever reply subject the event names. On a subject
    /// of the API they take it for a request. So every user who may emit events can have the stream emptied. Seen with
    /// 2.9.10, 2.10.26 and 2.11.11, not with 2.12.8 and 2.15.1.
    public static func isHeld(byServer version: String) -> Bool {
        let numbers = version.split(separator: ".").prefix(2).compactMap { Int($0) }
        return numbers.count == 2 && !numbers.lexicographicallyPrecedes([2, 12])
    }

    /// When the server's certificate expires; `nil` when there is none.
    public var certificateEnd: Date? {
        (try? PrivateFile(path: file("server.pem")).read()).flatMap(CertificateAuthority.end)
    }

    /// Makes a new server's certificate, and one of the page if it has one, signed by the same authority, so that clients
    /// need no change. The server must then reload its configuration.
    ///
    /// - Parameters:
    ///   - hosts: further names and addresses under which the server's is valid.
    ///   - pageHosts: those under which the page's is valid; it is made when there is none. `nil` changes nothing about it.
    /// - Throws: `invalidName`, `notFound` when the authority's key is not in this directory, `invalidFile`,
    ///   `fileAccess`.
    public mutating func renew(adding hosts: [String] = [], pageHosts: [String]? = nil) throws(MeshAuthError) {
        for host in hosts where !document.hosts.contains(host) {
            _ = try CertificateAuthority.name(of: host)
            document.hosts.append(host)
        }
        try addPageHosts(pageHosts)
        let issued = CertificateAuthority.Issued(
            certificate: try PrivateFile(path: authorityFile).read(),
            key: try PrivateFile(path: file("ca.key")).read()
        )
        let authority = try CertificateAuthority(issued)
        try writeServerCertificate(authority)
        try writePageCertificate(authority)
        try save()
    }

    // MARK: Files

    private static let documentName = "mesh-auth.json"

    private static func absolute(_ path: String) -> String { URL(fileURLWithPath: path).standardizedFileURL.path }

    private func file(_ name: String) -> String { "\(path)/\(name)" }

    private func write(_ name: String, _ text: String, mode: mode_t = PrivateFile.secretMode) throws(MeshAuthError) {
        try PrivateFile(path: file(name)).write(text, mode: mode)
    }

    private mutating func makeUser(
        _ name: String,
        _ role: MeshRole,
        durables: [String]?,
        nodes: [String]?
    ) throws(MeshAuthError) {
        let key = NKey()
        let user = try MeshUser(name: name, role: role, key: key, durables: durables, nodes: nodes)
        try write("\(name).nk", key.seed + "\n")
        document.users.append(user)
    }

    /// Makes a password that no program can guess, and that needs no escapes in a URL.
    private func makePassword(_ name: String) throws(MeshAuthError) {
        try write("\(name).password", Self.secret() + "\n")
    }

    /// Makes a token for the page, of which the list of its users has the hash.
    private mutating func makePageToken(_ name: String) throws(MeshAuthError) {
        let token = Self.secret()
        try write("\(name).page-token", token + "\n")
        let digits = SHA256.hash(data: Data(token.utf8)).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
        document.pageTokens = document.pageTokens ?? [:]
        document.pageTokens?[name] = digits.joined()
    }

    /// A secret of 32 letters and digits, some 190 bits.
    private static func secret() -> String {
        let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
        return String((0..<32).map { _ in letters[Int.random(in: letters.indices)] })
    }

    private static func checkPage(_ name: String, _ role: MeshRole) throws(MeshAuthError) {
        guard role == .node || role == .tool else { return }
        throw MeshAuthError(
            .invalidName,
            "\(name) is a \(role.rawValue); users of the page are people, with the role observer, operator or admin"
        )
    }

    private func writeServerCertificate(_ authority: CertificateAuthority) throws(MeshAuthError) {
        let server = try authority.issueServer(hosts: document.hosts)
        try write("server.key", server.key)
        try write("server.pem", server.certificate, mode: PrivateFile.publicMode)
    }

    private mutating func addPageHosts(_ hosts: [String]?) throws(MeshAuthError) {
        guard let hosts else { return }
        for host in hosts { _ = try CertificateAuthority.name(of: host) }
        let present = document.pageHosts ?? Self.standardHosts
        document.pageHosts = present + hosts.filter { !present.contains($0) }
    }

    /// Makes the page's certificate, when it has names.
    private func writePageCertificate(_ authority: CertificateAuthority) throws(MeshAuthError) {
        guard let hosts = document.pageHosts else { return }
        let page = try authority.issueServer(hosts: hosts, name: "mesh page")
        // A page that runs reads both; it tries again when it finds a new one beside an old one.
        try write("page.key", page.key)
        try write("page.pem", page.certificate, mode: PrivateFile.publicMode)
    }

    /// The list of the page's users.
    private var pageUsers: String {
        let lines = users.compactMap { user in
            document.pageTokens?[user.name].map { "\(user.name) \(user.role.rawValue) \($0)\n" }
        }
        let head = "# Written by `mesh-events auth`, which overwrites it: name, role, SHA-256 of the token.\n"
        return head + lines.joined()
    }

    private func save() throws(MeshAuthError) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(document) else {
            throw MeshAuthError(.invalidFile, "the users cannot be written as JSON")
        }
        try write("access.conf", serverAccess)
        if document.pageTokens != nil { try write("page.users", pageUsers) }
        try write(Self.documentName, String(decoding: data, as: UTF8.self) + "\n")
    }

    private func serverConfiguration(listen: String) -> String {
        """
        # nats-server -c \(file("nats-server.conf"))
        # Written once by `mesh-events auth init`: change what you like. After `mesh-events auth add`, `remove` or `renew`
        # have the server read access.conf again: nats-server --signal reload
        host: \(ServerAccess.quoted(listen))
        port: 4222
        \(ServerAccess.limits.replacing("\n", with: "\n        "))
        jetstream { store_dir: \(ServerAccess.quoted(file("store"))), \(ServerAccess.jetStreamLimits) }
        include "access.conf"

        """
    }
}

/// The part of a nats-server's configuration with the users, their permissions, and the server's certificate.
private struct ServerAccess {
    let users: [MeshUser]
    /// The passwords of the users that have one, by name.
    let passwords: [String: String]
    let certificateFile: String
    let keyFile: String

    var text: String {
        let users = users.sorted { $0.name < $1.name }.map(entries).joined(separator: "\n")
        return """
            # Written by `mesh-events auth`, which overwrites it: change users with `mesh-events auth add` and `remove`.
            tls {
              cert_file: \(Self.quoted(certificateFile))
              key_file: \(Self.quoted(keyFile))
              timeout: 5
            }
            authorization {
              users: [
            \(users)
              ]
            }

            """
    }

    /// Limits for all users. A server reads them when it starts; a reload does not change them. They suffice for
    /// durables.
    static let limits = """
        max_connections: 10000
        max_subscriptions: 1000
        max_payload: 1MB
        """

    /// The limits in JetStream's block: how many deliveries of a consumer may be without an answer.
    static let jetStreamLimits = "limits { max_ack_pending: \(maximumAcknowledgementsPending) }"
    /// As many as this package's durables ask for.
    static let maximumAcknowledgementsPending = 10_000

    /// The entries of a user: one for its key, and one for its password, if it has one.
    private func entries(_ user: MeshUser) -> String {
        let permissions = user.permissions
        let password = passwords[user.name]
            .map { "user: \(Self.quoted(user.name)), password: \(Self.quoted($0))" }
        return (["nkey: \(user.publicKey)"] + (password.map { [$0] } ?? [])).map { login in
            """
                # \(user.name): \(user.role.rawValue)
                { \(login)
                  permissions: {
                    publish: { allow: \(Self.list(permissions.publish)) }
                    subscribe: { allow: \(Self.list(permissions.subscribe)) }
                  }
                }
            """
        }.joined(separator: "\n")
    }

    private static func list(_ subjects: [String]) -> String {
        "[" + subjects.map(quoted).joined(separator: ", ") + "]"
    }

    /// A string of the server's configuration language.
    static func quoted(_ text: String) -> String {
        "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
    }
}

/// Why users or certificates could not be made or read; the message says what to do.
public struct MeshAuthError: Error, Sendable, CustomStringConvertible {
    /// What went wrong.
    public enum Code: String, Sendable {
        /// The directory already has users, or the user already exists.
        case alreadyExists
        /// No such directory, file or user.
        case notFound
        /// A name that cannot be one of a user or a host.
        case invalidName
        /// A file with invalid contents.
        case invalidFile
        /// A file that cannot be read or written, or that other users may read.
        case fileAccess
        /// A key or certificate could not be made.
        case cryptography
    }

    /// What went wrong.
    public let code: Code
    /// A sentence for people: what went wrong and what to do; never a secret.
    public let message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// The message.
    public var description: String { message }
}
