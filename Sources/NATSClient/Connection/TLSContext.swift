import FileReading
import NIOCore

#if TLS
    import NIOSSL

    /// What TLS with servers needs, from the client's configuration and its files as they were when this was made.
    struct TLSContext: Sendable {
        /// The certificate that a server has shown.
        typealias PeerCertificate = NIOSSLCertificate

        private let configuration: NATSConnection.TLSConfiguration
        private let context: NIOSSLContext

        /// Reads the files a configuration names.
        ///
        /// - Throws: `tlsFailed`, naming the file.
        init(_ configuration: NATSConnection.TLSConfiguration) throws(NATSError) {
            var tls = TLSConfiguration.makeClientConfiguration()
            if let path = configuration.certificateAuthorityFile {
                tls.trustRoots = .certificates(
                    try Self.read("certificate authority file", path) { try NIOSSLCertificate.fromPEMFile(path) }
                )
            }
            if let path = configuration.certificateFile {
                let chain = try Self.read("client certificate file", path) { try NIOSSLCertificate.fromPEMFile(path) }
                tls.certificateChain = chain.map { .certificate($0) }
            }
            if let path = configuration.privateKeyFile {
                let pem = try SecretFile("private key file", path).text(.tlsFailed)
                tls.privateKey = .privateKey(
                    try Self.read("private key file", path) {
                        try NIOSSLPrivateKey(bytes: Array(pem.utf8), format: .pem)
                    }
                )
            }
            tls.certificateVerification = configuration.verifiesHostName ? .fullVerification : .noHostnameVerification
            self.configuration = configuration
            context = try Self.read("TLS configuration", "given") { try NIOSSLContext(configuration: tls) }
        }

        /// The handlers that begin TLS with a server, in the pipeline's order.
        ///
        /// - Parameter onFailure: called with the server's certificate when TLS has failed.
        func makeHandlers(
            for server: ServerAddress,
            onFailure: @escaping (PeerCertificate) -> Void
        ) throws -> [any ChannelHandler] {
            let name = configuration.serverName ?? server.certificateName ?? server.host
            // TLS has no server name for an address; the certificate is then checked against the address itself.
            let client = try NIOSSLClientHandler(
                context: context,
                serverHostname: ServerAddress.isIPAddress(name) ? nil : name
            )
            return [client, TLSWitness(onFailure: onFailure)]
        }

        /// Whether an error says that the peer has closed the connection without ending TLS first.
        static func isUncleanShutdown(_ error: any Error) -> Bool {
            if case .uncleanShutdown? = error as? NIOSSLError { true } else { false }
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

    /// Keeps the server's certificate when TLS fails: a closed channel no longer has it.
    private final class TLSWitness: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let onFailure: (NIOSSLCertificate) -> Void

        init(onFailure: @escaping (NIOSSLCertificate) -> Void) { self.onFailure = onFailure }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            if let certificate = try? context.pipeline.syncOperations.nioSSL_peerCertificate() {
                onFailure(certificate)
            }
            context.fireErrorCaught(error)
        }
    }
#else
    /// Stands for TLS in a program that is built without it: there is none.
    struct TLSContext: Sendable {
        /// Stands for a certificate: none is ever made.
        struct PeerCertificate: Sendable {
            private init() {}
        }

        /// - Throws: `tlsFailed`, always.
        init(_: NATSConnection.TLSConfiguration) throws(NATSError) {
            throw NATSError(
                .tlsFailed,
                "this program is built without TLS; enable the trait TLS of the package mesh-events"
            )
        }

        /// No handlers.
        func makeHandlers(
            for _: ServerAddress,
            onFailure _: @escaping (PeerCertificate) -> Void
        ) throws -> [any ChannelHandler] { [] }

        /// No error is one of TLS.
        static func isUncleanShutdown(_: any Error) -> Bool { false }
    }
#endif
