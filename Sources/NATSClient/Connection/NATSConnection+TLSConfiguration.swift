import FileReading
import NIOCore
import NIOSSL

extension NATSConnection {
    /// How the client uses TLS.
    ///
    /// The files are PEM and are read again for every attempt to connect, so that a certificate or an authority can be
    /// replaced while a connection is up. A file that cannot be read fails the attempt; the next attempt reads it again.
    public struct TLSConfiguration: Sendable, Hashable {
        /// The authorities that are trusted; `nil` for the system's.
        public var certificateAuthorityFile: String?
        /// The client's certificate, with its chain, when the server wants one.
        public var certificateFile: String?
        /// The key of the client's certificate, in a file that only its owner may read.
        public var privateKeyFile: String?
        /// Whether TLS begins at once instead of after the server's plain-text `INFO` (the server's `handshake_first`).
        public var handshakeFirst: Bool
        /// Whether the certificate must name the host. Turn it off only for tests.
        public var verifiesHostName: Bool
        /// The name the certificate must have, when it is not the host's.
        public var serverName: String?

        /// Creates a configuration.
        public init(
            certificateAuthorityFile: String? = nil,
            certificateFile: String? = nil,
            privateKeyFile: String? = nil,
            handshakeFirst: Bool = false,
            verifiesHostName: Bool = true,
            serverName: String? = nil
        ) {
            self.certificateAuthorityFile = certificateAuthorityFile
            self.certificateFile = certificateFile
            self.privateKeyFile = privateKeyFile
            self.handshakeFirst = handshakeFirst
            self.verifiesHostName = verifiesHostName
            self.serverName = serverName
        }
    }
}

/// The old name of ``NATSConnection/TLSConfiguration``.
@available(*, deprecated, renamed: "NATSConnection.TLSConfiguration")
public typealias NATSTLSConfiguration = NATSConnection.TLSConfiguration

/// Makes TLS contexts and handlers from the client's configuration.
enum TLSHandlerFactory {
    /// Reads the files a configuration names.
    ///
    /// - Throws: `tlsFailed`, naming the file.
    static func context(_ configuration: NATSConnection.TLSConfiguration) throws(NATSError) -> NIOSSLContext {
        var tls = TLSConfiguration.makeClientConfiguration()
        if let path = configuration.certificateAuthorityFile {
            tls.trustRoots = .certificates(
                try read("certificate authority file", path) { try NIOSSLCertificate.fromPEMFile(path) }
            )
        }
        if let path = configuration.certificateFile {
            let chain = try read("client certificate file", path) { try NIOSSLCertificate.fromPEMFile(path) }
            tls.certificateChain = chain.map { .certificate($0) }
        }
        if let path = configuration.privateKeyFile {
            let pem = try SecretFile("private key file", path).text(.tlsFailed)
            tls.privateKey = .privateKey(
                try read("private key file", path) { try NIOSSLPrivateKey(bytes: Array(pem.utf8), format: .pem) }
            )
        }
        tls.certificateVerification = configuration.verifiesHostName ? .fullVerification : .noHostnameVerification
        return try read("TLS configuration", "given") { try NIOSSLContext(configuration: tls) }
    }

    static func make(
        _ context: NIOSSLContext,
        server: ServerAddress,
        configuration: NATSConnection.TLSConfiguration?
    ) throws -> NIOSSLClientHandler {
        let name = configuration?.serverName ?? server.certificateName ?? server.host
        // TLS has no server name for an address; the certificate is then checked against the address itself.
        return try NIOSSLClientHandler(
            context: context,
            serverHostname: ServerAddress.isIPAddress(name) ? nil : name
        )
    }

    private static func read<Value>(
        _ what: String,
        _ path: String,
        _ body: () throws -> Value
    ) throws(NATSError) -> Value {
        do {
            return try body()
        } catch {
            throw NATSError(
                .tlsFailed,
                "the \(what) \(path) cannot be used; it must be a readable PEM file",
                underlying: error
            )
        }
    }
}
