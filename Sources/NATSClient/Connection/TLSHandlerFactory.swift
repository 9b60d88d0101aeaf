import FileReading
import NIOCore
import NIOSSL

/// Makes TLS contexts and handlers from the client's configuration.
enum TLSHandlerFactory {
    /// Reads the files a configuration names.
    ///
    /// - Throws: `tlsFailed`, naming the file.
    static func context(_ configuration: NATSTLSConfiguration) throws(NATSError) -> NIOSSLContext {
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
        configuration: NATSTLSConfiguration?
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
