extension NATSConnection {
    /// How the client uses TLS.
    ///
    /// A program that is built without the package's trait `TLS` has none: its connections fail with `tlsFailed` when the
    /// configuration, the address or the server asks for TLS.
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
