import FileReading
public import Foundation
import MessageGrammar
import NKeys

/// A context of the `nats` command line tool: where to connect and how to log in, saved under a name.
///
/// Colours and the description have no meaning for a connection. A field that cannot be honoured, such as a store of
/// Windows, is refused by name when the context is used, not when it is read.
public struct NATSContext: Sendable {
    /// The name, which is that of its file.
    public let name: String
    /// The path of its file.
    public let path: String
    /// Whether other users may read or write the file.
    private let isOpenToOthers: Bool
    private let fields: [String: JetStreamValue]

    /// Reads the context in a file.
    ///
    /// - Throws: `invalidArgument` when it cannot be read, or is no JSON object. The message shows nothing of its contents.
    public init(path: String) throws(NATSError) {
        self.path = path
        let file = path.split(separator: "/").last.map(String.init) ?? path
        name = file.hasSuffix(".json") ? String(file.dropLast(5)) : file
        let contents: RegularFile.Contents
        do throws(RegularFile.Failure) {
            contents = try RegularFile(path).read()
        } catch {
            throw NATSError(.invalidArgument, "the context \(path) cannot be used: it \(error.problem)")
        }
        isOpenToOthers = contents.isOpenToOthers
        do {
            fields = try JSONDecoder().decode([String: JetStreamValue].self, from: Data(contents.bytes))
        } catch {
            throw NATSError(.invalidArgument, "the context \(path) cannot be used: it is no JSON object")
        }
    }

    /// What people call it; `nil` without a description.
    public var descriptionText: String? { try? text(.description) }

    /// The addresses of its servers, logins included, separated by commas.
    package var url: String { (try? text(.url)) ?? Self.defaultURL }

    /// The default of the `nats` tool.
    private static let defaultURL = "nats://127.0.0.1:4222"

    /// Whether it names servers.
    package var namesServers: Bool { isSet(.url) }

    /// How to connect.
    ///
    /// - Parameter environment: the variables that the context refers to, and `HOME` for `~`.
    /// - Throws: `invalidArgument` or `invalidAddress` for a field that cannot be used, which the message names.
    public func configuration(
        environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws(NATSError) -> NATSConnection.Configuration {
        do throws(NATSError) {
            return try read(environment)
        } catch {
            throw NATSError(error.code, "the context \(name.debugDescription) cannot be used: \(error.message)")
        }
    }

    private func read(_ environment: [String: String]) throws(NATSError) -> NATSConnection.Configuration {
        try refuseUnknown()
        var configuration = NATSConnection.Configuration(
            servers: try ServerAddress.list(try text(.url) ?? Self.defaultURL),
            authentication: try authentication(environment),
            tls: try tls(environment)
        )
        guard !hasSecret(configuration) || !isOpenToOthers else {
            throw Self.invalid("other users may read or write it, and it holds a secret: chmod 600 \(path)")
        }
        configuration.inboxPrefix = try prefix(.inboxPrefix)
        let domain = try text(.jetStreamDomain)
        let prefix = try prefix(.jetStreamPrefix)
        if let domain {
            guard prefix == nil else {
                throw Self.invalid("jetstream_domain and jetstream_api_prefix exclude each other; remove one")
            }
            guard SubjectGrammar.isName(domain) else {
                throw Self.invalid("jetstream_domain must be a name without white space, '.', '*', '>', '/' and '\\'")
            }
        }
        configuration.jetStreamPrefix = prefix ?? domain.map(JetStream.prefix(ofDomain:))
        if let proxy = try text(.socksProxy) { configuration.socksProxy = try NATSConnection.SOCKSProxy(proxy) }
        return configuration
    }

    /// The fields that the `nats` tool writes.
    private enum Field: String, CaseIterable {
        case name, description, url, token, user, password, creds, nkey, cert, key, ca, nsc
        case userJWT = "user_jwt"
        case userSeed = "user_seed"
        case inboxPrefix = "inbox_prefix"
        case jetStreamDomain = "jetstream_domain"
        case jetStreamPrefix = "jetstream_api_prefix"
        case eventPrefix = "jetstream_event_prefix"
        case socksProxy = "socks_proxy"
        case tlsFirst = "tls_first"
        case colorScheme = "color_scheme"

        /// Whether it has no meaning for a connection. The event prefix is that of advisories, which this client does not
        /// read.
        var isIgnored: Bool {
            switch self {
            case .name, .description, .colorScheme, .eventPrefix: true
            default: false
            }
        }

        var isSecret: Bool {
            switch self {
            case .token, .password, .userJWT, .userSeed: true
            default: false
            }
        }

        /// Whether a secret may be in it, by mistake too: what belongs into a file is sometimes put here itself.
        var mayBeSecret: Bool { isSecret || self == .creds || self == .nkey || self == .key }
    }

    private func refuseUnknown() throws(NATSError) {
        for (name, value) in fields.sorted(by: { $0.key < $1.key }) where !value.isZero {
            if name.hasPrefix("windows_") {
                throw Self.invalid("\(name), a store of Windows, is not supported; name files with cert, key and ca")
            }
            guard let field = Field(rawValue: name) else {
                throw Self.invalid(
                    "its field \(name.debugDescription) is not known, so it may mean anything; remove it"
                )
            }
            guard field != .nsc else {
                throw Self.invalid(
                    "nsc is not supported; write the credentials to a file (`nsc generate creds`), and name it with creds"
                )
            }
        }
    }

    // MARK: Fields

    private func isSet(_ field: Field) -> Bool { fields[field.rawValue].map { !$0.isZero } ?? false }

    /// A field's text; `nil` when it is not set.
    private func text(_ field: Field) throws(NATSError) -> String? {
        guard let value = fields[field.rawValue], !value.isZero else { return nil }
        guard case .string(let text) = value else { throw Self.invalid("\(field.rawValue) must be a text") }
        return text
    }

    /// A secret, from where the field refers to: `env://NAME`, `file://PATH`, `data:;base64,…`; else the text itself.
    private func secret(_ field: Field, _ environment: [String: String]) throws(NATSError) -> String? {
        guard let text = try text(field) else { return nil }
        switch try Reference(text, field.rawValue) {
        case .plain: return text
        case .file(let path):
            let secret = try SecretFile("file of \(field.rawValue),", try expanded(path, field, environment)).text()
            return secret.trimmingCharacters(in: .newlines)
        case .variable(let name): return try variable(name, field, environment)
        case .data(let data): return data.trimmingCharacters(in: .newlines)
        }
    }

    private func variable(_ name: String, _ field: Field, _ environment: [String: String]) throws(NATSError) -> String {
        guard let value = environment[name], !value.isEmpty else {
            throw Self.invalid("\(field.rawValue) refers to the environment variable \(name), which is not set")
        }
        return value
    }

    /// The path of a file; other references than `file://` are refused.
    private func file(_ field: Field, _ environment: [String: String]) throws(NATSError) -> String? {
        guard let text = try text(field) else { return nil }
        switch try Reference(text, field.rawValue) {
        case .plain: return try present(text, field, environment)
        case .file(let path): return try present(path, field, environment)
        case .variable, .data: throw Self.invalid("\(field.rawValue) must be the path of a file")
        }
    }

    /// A path, expanded, at which there is a file that can be read: a wrong one is reported at once, and by the field's name.
    private func present(
        _ path: String,
        _ field: Field,
        _ environment: [String: String]
    ) throws(NATSError) -> String {
        let path = try expanded(path, field, environment)
        guard !Self.isNoPath(path) else {
            throw Self.invalid(
                "\(field.rawValue) has a secret in it instead of the path of a file; write the secret to a file, chmod 600"
            )
        }
        if let problem = RegularFile(path).problem {
            throw Self.invalid("\(field.rawValue) names \(path), which \(problem)")
        }
        return path
    }

    /// A path with `~` and variables replaced.
    private func expanded(
        _ path: String,
        _ field: Field,
        _ environment: [String: String]
    ) throws(NATSError) -> String {
        var result = ""
        var rest = path[...]
        while let dollar = rest.firstIndex(of: "$") {
            result += rest[..<dollar]
            rest = rest[rest.index(after: dollar)...]
            let isBraced = rest.first == "{"
            if isBraced { rest = rest.dropFirst() }
            let name = rest.prefix { $0 == "_" || $0.isASCII && ($0.isLetter || $0.isNumber) }
            rest = rest[name.endIndex...]
            guard !name.isEmpty, !isBraced || rest.first == "}" else {
                throw Self.invalid("\(field.rawValue) has a '$' without the name of a variable behind it")
            }
            if isBraced { rest = rest.dropFirst() }
            result += try variable(String(name), field, environment)
        }
        result += rest
        guard result.hasPrefix("~") else { return result }
        return try variable("HOME", field, environment) + result.dropFirst()
    }

    private func prefix(_ field: Field) throws(NATSError) -> String? {
        guard let text = try text(field) else { return nil }
        guard let prefix = SubjectGrammar.prefix(text) else {
            throw Self.invalid(
                "\(field.rawValue) must be a prefix of subjects: tokens with dots between them, no wildcards"
            )
        }
        return prefix
    }

    // MARK: Login

    /// The fields of which one at most is the login.
    private static let logins: [Field] = [.user, .creds, .nkey, .userJWT, .token]

    private func authentication(_ environment: [String: String]) throws(NATSError) -> NATSAuthentication {
        let given = Self.logins.filter(isSet)
        guard given.count <= 1 else {
            throw Self.invalid(
                "\(given.map(\.rawValue).joined(separator: " and ")) exclude each other; leave one"
            )
        }
        if isSet(.password), given != [.user] { throw Self.invalid("password needs user") }
        if isSet(.userSeed), given != [.userJWT] { throw Self.invalid("user_seed needs user_jwt") }
        switch given.first {
        case .user:
            return .userPassword(user: try text(.user) ?? "", password: try secret(.password, environment) ?? "")
        case .creds: return try credentials(environment)
        case .nkey: return try nkey(environment)
        case .userJWT:
            let seed = try secret(.userSeed, environment)
            return .jwt(try secret(.userJWT, environment) ?? "", key: try seed.map(Self.key))
        case .token: return .token(try secret(.token, environment) ?? "")
        default: return .none
        }
    }

    private func credentials(_ environment: [String: String]) throws(NATSError) -> NATSAuthentication {
        let text = try text(.creds) ?? ""
        switch try Reference(text, Field.creds.rawValue) {
        case .plain: return .credentialsFile(path: try present(text, .creds, environment))
        case .file(let path): return .credentialsFile(path: try present(path, .creds, environment))
        case .variable(let name): return try .credentials(try variable(name, .creds, environment))
        case .data(let data): return try .credentials(data)
        }
    }

    private func nkey(_ environment: [String: String]) throws(NATSError) -> NATSAuthentication {
        let text = try text(.nkey) ?? ""
        switch try Reference(text, Field.nkey.rawValue) {
        case .plain: return .nkeyFile(path: try present(text, .nkey, environment))
        case .file(let path): return .nkeyFile(path: try present(path, .nkey, environment))
        case .variable(let name): return .nkey(try Self.key(try variable(name, .nkey, environment)))
        case .data(let data): return .nkey(try Self.key(data))
        }
    }

    private func tls(_ environment: [String: String]) throws(NATSError) -> NATSConnection.TLSConfiguration? {
        guard isSet(.cert) == isSet(.key) else { throw Self.invalid("cert and key go together; set both") }
        let authority = try file(.ca, environment)
        let certificate = try file(.cert, environment)
        let key = try file(.key, environment)
        let first = fields[Field.tlsFirst.rawValue] ?? false
        guard first == true || first.isZero else { throw Self.invalid("tls_first must be true or false") }
        guard authority != nil || certificate != nil || first == true else { return nil }
        if let key { try SecretFile("file of key,", key).checkMode() }
        return NATSConnection.TLSConfiguration(
            certificateAuthorityFile: authority,
            certificateFile: certificate,
            privateKeyFile: key,
            handshakeFirst: first == true
        )
    }

    private static func key(_ seed: String) throws(NATSError) -> NKey {
        do throws(NKeyError) {
            return try NKey(seedIn: seed)
        } catch {
            throw NATSError(error)
        }
    }

    /// Whether the file itself holds a secret: a reference to a file or a variable is none.
    private func hasSecret(_ configuration: NATSConnection.Configuration) -> Bool {
        configuration.servers.contains(where: \.hasLogin)
            || Field.allCases.contains { field in
                guard isSet(field), case .string(let text)? = fields[field.rawValue],
                    let reference = try? Reference(text, field.rawValue)
                else { return false }
                return switch reference {
                case .data: true
                case .plain: field.isSecret
                case .file, .variable: false
                }
            }
    }

    private static func invalid(_ why: String) -> NATSError { NATSError(.invalidArgument, why) }
}

extension NATSContext {
    /// How a client with this context logs in, in a word or two, for lists.
    package var loginKind: String {
        if let login = Self.logins.first(where: isSet) { return login.rawValue }
        if (try? ServerAddress.list(url))?.contains(where: \.hasLogin) == true { return "in the url" }
        return isSet(.cert) ? "certificate" : "none"
    }

    /// The addresses of its servers, without logins.
    package var shownURL: String {
        guard let addresses = try? ServerAddress.list(url) else { return "(hidden: not an address)" }
        return addresses.map(\.description).joined(separator: ",")
    }

    /// The fields that are set, by name, in the order in which the `nats` tool asks for them; secrets are hidden.
    package var shownFields: [(name: String, value: String)] {
        let known = Field.allCases.map(\.rawValue)
        let others = fields.keys.filter { !known.contains($0) }.sorted()
        return (known + others).compactMap { name in
            guard let value = fields[name], !value.isZero, name != "name" else { return nil }
            if name == "url" { return (name, shownURL) }
            guard let field = Field(rawValue: name) else { return (name, "(not supported)") }
            guard case .string(let text) = value else {
                return (name, field.mayBeSecret ? "(hidden)" : value.description)
            }
            return (name, shown(text, of: field))
        }
    }

    /// Whether a text looks like a seed or credentials instead of the path of a file that has them.
    fileprivate static func isNoPath(_ text: String) -> Bool {
        let text = text.drop { $0.isWhitespace }
        return text.hasPrefix("-----BEGIN") || text.hasPrefix("S") && text.count >= 50 && !text.contains("/")
    }

    private func shown(_ text: String, of field: Field) -> String {
        let hidden = "(hidden)"
        if field == .socksProxy { return (try? NATSConnection.SOCKSProxy(text))?.description ?? hidden }
        guard let reference = try? Reference(text, field.rawValue) else {
            return field.isSecret || text.lowercased().hasPrefix("data:") ? hidden : text
        }
        return switch reference {
        case .data: hidden
        case .plain: field.isSecret || field.mayBeSecret && Self.isNoPath(text) ? hidden : text
        case .file, .variable: text
        }
    }
}

/// What a field of a context refers to.
private enum Reference {
    /// To nothing: the text itself counts.
    case plain
    /// `file://PATH`.
    case file(String)
    /// `env://NAME`.
    case variable(String)
    /// The decoded content of `data:;base64,…`.
    case data(String)

    /// - Throws: `invalidArgument` for what is not supported: secrets in 1Password (`op://`) and nsc (`nsc://`).
    init(_ text: String, _ field: String) throws(NATSError) {
        func behind(_ scheme: String) -> String? {
            text.lowercased().hasPrefix(scheme) ? String(text.dropFirst(scheme.count)) : nil
        }
        if behind("op://") != nil {
            throw NATSError(
                .invalidArgument,
                "\(field) refers to 1Password (op://), which is not supported; have `op run` set a variable, and write "
                    + "env://NAME"
            )
        }
        if behind("nsc://") != nil {
            throw NATSError(
                .invalidArgument,
                "\(field) refers to nsc (nsc://), which is not supported; write the credentials to a file (`nsc generate "
                    + "creds`), and name it with creds"
            )
        }
        if let name = behind("env://") {
            self = .variable(name)
        } else if let file = behind("file://") {
            self = .file(file)
        } else if let data = behind("data:") {
            guard let comma = data.firstIndex(of: ","),
                data[..<comma].split(separator: ";").contains("base64"),
                let bytes = Data(base64Encoded: String(data[data.index(after: comma)...])),
                let content = String(validating: bytes, as: UTF8.self)
            else {
                throw NATSError(
                    .invalidArgument,
                    "\(field) begins with data:, but is not data:;base64,… with a text in it"
                )
            }
            self = .data(content)
        } else {
            self = .plain
        }
    }
}
