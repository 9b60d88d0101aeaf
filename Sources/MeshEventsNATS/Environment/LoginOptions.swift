package import NATSClient

/// The login and the certificates that the options of a command or environment variables name. The SDK of tools reads
/// the variables alone.
package struct LoginOptions: Sendable {
    private static let credentials = NamedFile("--creds", "JB_NATS_CREDS", "a credentials file", isSecret: true)
    private static let key = NamedFile("--nkey", "MESH_EVENTS_NKEY", "a file with an NKey's seed", isSecret: true)
    private static let token = "MESH_EVENTS_TOKEN"
    private static let password = "MESH_EVENTS_PASSWORD"
    private static let authority = NamedFile("--tls-ca", "MESH_EVENTS_TLS_CA", "the authorities to trust")
    private static let certificate = NamedFile("--tls-cert", "MESH_EVENTS_TLS_CERT", "a certificate")
    private static let certificateKey = NamedFile(
        "--tls-key",
        "MESH_EVENTS_TLS_KEY",
        "a certificate's key",
        isSecret: true
    )

    /// The variable that names a credentials file.
    package static let credentialsVariable = credentials.variable
    /// The variable that names a file with an NKey's seed.
    package static let keyVariable = key.variable
    /// The variable that names the authorities to trust.
    package static let authorityVariable = authority.variable
    /// The variable that names a certificate.
    package static let certificateVariable = certificate.variable
    /// The variable that names a certificate's key.
    package static let certificateKeyVariable = certificateKey.variable

    /// The variables that tell who logs in, without the password of `--user`.
    package static let loginVariables =
        [credentialsVariable, keyVariable, token, certificateVariable, certificateKeyVariable]

    /// The variables that a process without options reads; see the wire contract.
    package static let variables =
        [credentialsVariable, keyVariable, token] + [authorityVariable, certificateVariable, certificateKeyVariable]
    /// The variables that tell who logs in: those of all login methods, the password of `--user` included.
    package static let identityVariables =
        [credentialsVariable, keyVariable, token, password] + [certificateVariable, certificateKeyVariable]

    /// The path of a credentials file: `--creds`, else `JB_NATS_CREDS`.
    package var credentials: String?
    /// The path of a file with an NKey's seed: `--nkey`, else `MESH_EVENTS_NKEY`.
    package var key: String?
    /// A token: `--token`, else `MESH_EVENTS_TOKEN`.
    package var token: String?
    /// A user's name: `--user`.
    package var user: String?
    /// The user's password: `--password`, else `MESH_EVENTS_PASSWORD`.
    package var password: String?
    /// The path of a PEM file with the authorities to trust: `--tls-ca`, else `MESH_EVENTS_TLS_CA`.
    package var certificateAuthority: String?
    /// The path of a PEM file with this client's certificate: `--tls-cert`, else `MESH_EVENTS_TLS_CERT`.
    package var certificate: String?
    /// The path of a PEM file with the certificate's key: `--tls-key`, else `MESH_EVENTS_TLS_KEY`.
    package var certificateKey: String?

    /// Creates the values of options; those that are `nil` are not given.
    package init(
        credentials: String? = nil,
        key: String? = nil,
        token: String? = nil,
        user: String? = nil,
        password: String? = nil,
        certificateAuthority: String? = nil,
        certificate: String? = nil,
        certificateKey: String? = nil
    ) {
        self.credentials = credentials
        self.key = key
        self.token = token
        self.user = user
        self.password = password
        self.certificateAuthority = certificateAuthority
        self.certificate = certificate
        self.certificateKey = certificateKey
    }

    /// The login, for servers whose address has none. An option replaces all variables. Of the variables the first that
    /// is set counts: credentials, key, token. Without any, the address's user and password count.
    ///
    /// - Throws: `invalidArgument` for two options that exclude each other, for a user without a password, and for a
    ///   file that cannot be read or that others may read too.
    package func authentication(_ environment: [String: String]) throws(NATSError) -> NATSAuthentication {
        let given = [("--creds", credentials), ("--nkey", key), ("--token", token), ("--user", user)]
            .filter { $0.1 != nil }.map(\.0)
        guard given.count <= 1 else {
            throw NATSError(.invalidArgument, "\(given.joined(separator: " and ")) exclude each other; give one")
        }
        if password != nil, user == nil {
            throw NATSError(.invalidArgument, "--password needs --user")
        }
        let variables = given.isEmpty ? environment : [:]
        if let path = try Self.credentials.path(credentials, in: variables) { return .credentialsFile(path: path) }
        if let path = try Self.key.path(key, in: variables) { return .nkeyFile(path: path) }
        if let token { return .token(token) }
        if let token = variables[Self.token], !token.isEmpty { return .token(token) }
        guard let user else { return .none }
        guard let password = password ?? environment[Self.password] else {
            throw NATSError(.invalidArgument, "--user needs --password, or \(Self.password) in the environment")
        }
        return .userPassword(user: user, password: password)
    }

    /// The TLS configuration; `nil` when neither options nor variables name a file. Files of options replace those of
    /// variables, which are checked all the same.
    ///
    /// - Parameter context: the configuration of a context; its files count where neither options nor variables name one.
    /// - Throws: `invalidArgument` for a file that cannot be read, for a key that others may read too, and for a
    ///   certificate without a key or a key without a certificate.
    package func tls(
        _ environment: [String: String],
        over context: NATSConnection.TLSConfiguration? = nil
    ) throws(NATSError) -> NATSConnection.TLSConfiguration? {
        guard (self.certificate == nil) == (certificateKey == nil) else {
            throw NATSError(.invalidArgument, "--tls-cert and --tls-key go together; give both")
        }
        let authority = try Self.authority.path(certificateAuthority, in: environment)
        let certificate = try Self.certificate.path(self.certificate, in: environment)
        let key = try Self.certificateKey.path(certificateKey, in: environment)
        guard Self.certificate.isSet(in: environment) == Self.certificateKey.isSet(in: environment) else {
            throw NATSError(.invalidArgument, "MESH_EVENTS_TLS_CERT and MESH_EVENTS_TLS_KEY go together; set both")
        }
        guard authority != nil || certificate != nil || key != nil else { return context }
        var tls = context ?? NATSConnection.TLSConfiguration()
        if let authority { tls.certificateAuthorityFile = authority }
        if certificate != nil || key != nil { (tls.certificateFile, tls.privateKeyFile) = (certificate, key) }
        return tls
    }
}
