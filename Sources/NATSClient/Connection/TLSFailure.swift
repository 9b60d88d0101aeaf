import Foundation
import NIOCore

#if TLS
    import NIOSSL

    /// Why TLS with a server failed, in a sentence that says what to do.
    ///
    /// NIOSSL reports only that the verification failed. So this looks at the server's certificate: its validity, against
    /// this machine's clock, and its names.
    struct TLSFailure {
        /// The most names of a certificate that are shown.
        private static let maximumNames = 10

        let server: ServerAddress?
        let configuration: NATSConnection.TLSConfiguration?
        /// The server's certificate, when it has shown one.
        let certificate: NIOSSLCertificate?

        /// The sentence for an error; `nil` when it is not an error of TLS.
        func sentence(for error: any Error, now: Date = Date()) -> String? {
            guard error is NIOSSLError || error is BoringSSLError || error is NIOSSLExtraError else { return nil }
            let who = server.map { "\($0)" } ?? "the server"
            return "TLS with \(who) failed: \(reason(for: error, now))"
        }

        private func reason(for error: any Error, _ now: Date) -> String {
            if let error = error as? NIOSSLExtraError, error == .failedToValidateHostname {
                return otherHost
            }
            let said = "\(error)"
            if said.contains("CERTIFICATE_VERIFY_FAILED") { return refusedCertificate(now) }
            if said.contains("WRONG_VERSION_NUMBER") || said.contains("HTTP_REQUEST") {
                return "the server there does not speak TLS; is this the right port, or is nats:// meant?"
            }
            if said.contains("PROTOCOL_VERSION") || said.contains("UNSUPPORTED_PROTOCOL") {
                return "the server speaks no version of TLS that is accepted here (1.2 or later)"
            }
            return clientCertificate(said)
                ?? "check the CA, the host name and the client certificate (\(said.prefix(300)))"
        }

        /// The server reports problems with this client's certificate as a TLS alert.
        private func clientCertificate(_ said: String) -> String? {
            let isGiven = configuration?.certificateFile != nil
            let mine =
                configuration?.certificateFile.map { "this client's certificate (\($0))" }
                ?? "this client's certificate"
            if said.contains("CERTIFICATE_REQUIRED") || said.contains("BAD_CERTIFICATE") && !isGiven {
                return
                    "the server wants a client certificate, and none is given; name one with its key (--tls-cert and "
                    + "--tls-key, or MESH_EVENTS_TLS_CERT and MESH_EVENTS_TLS_KEY)"
            }
            if said.contains("CERTIFICATE_EXPIRED") { return "\(mine) has expired; replace it" }
            if said.contains("CERTIFICATE_REVOKED") { return "\(mine) has been revoked; replace it" }
            if said.contains("UNKNOWN_CA") { return "the server does not know the authority that has signed \(mine)" }
            if said.contains("BAD_CERTIFICATE") || said.contains("CERTIFICATE_UNKNOWN")
                || said.contains("UNSUPPORTED_CERTIFICATE")
            {
                return "the server refuses \(mine); it must be one that the server's authority has signed, for clients"
            }
            return nil
        }

        private func refusedCertificate(_ now: Date) -> String {
            let authorities = configuration?.certificateAuthorityFile.map { "the authorities in \($0)" }
            let unknown =
                "its certificate is signed by an authority that is not trusted, or by one that has expired; trusted are "
                + (authorities ?? "the system's authorities; name the server's with --tls-ca or MESH_EVENTS_TLS_CA")
            guard let certificate else { return unknown }
            let (begin, end) = (Self.date(certificate.notValidBefore), Self.date(certificate.notValidAfter))
            if end < now {
                return
                    "its certificate has expired, on \(Self.text(end)); renew it on the server, or set this machine's clock "
                    + "(\(Self.text(now)))"
            }
            if begin > now {
                return
                    "its certificate is valid only from \(Self.text(begin)); is this machine's clock (\(Self.text(now))) "
                    + "right?"
            }
            return unknown
        }

        private var otherHost: String {
            let wanted = configuration?.serverName ?? server?.certificateName ?? server?.host ?? "this host"
            let names = certificate.map(Self.names) ?? []
            let shown = names.isEmpty ? "no name" : names.prefix(Self.maximumNames).joined(separator: ", ")
            let more = names.count > Self.maximumNames ? " and \(names.count - Self.maximumNames) more" : ""
            return
                "its certificate is for another host, not for \(wanted): it has \(shown)\(more); use one of its names, or "
                + "give the server a certificate for this one"
        }

        /// The names and addresses a certificate is for.
        private static func names(of certificate: NIOSSLCertificate) -> [String] {
            certificate._subjectAlternativeNames().compactMap { name in
                switch name.nameType {
                case .dnsName: return String(String(decoding: name.contents, as: UTF8.self).prefix(256))
                case .ipAddress:
                    let address = try? SocketAddress(packedIPAddress: ByteBuffer(bytes: name.contents), port: 0)
                    return address?.ipAddress
                default: return nil
                }
            }
        }

        private static func date(_ time: time_t) -> Date { Date(timeIntervalSince1970: TimeInterval(time)) }

        private static func text(_ date: Date) -> String { date.formatted(.iso8601) }
    }
#else
    /// Stands for the failures of TLS in a program that is built without it: there are none.
    struct TLSFailure {
        init(
            server _: ServerAddress?,
            configuration _: NATSConnection.TLSConfiguration?,
            certificate _: TLSContext.PeerCertificate?
        ) {}

        /// No error is one of TLS.
        func sentence(for _: any Error) -> String? { nil }
    }
#endif
