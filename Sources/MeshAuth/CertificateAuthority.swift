import Crypto
import Foundation
import SwiftASN1
import X509

/// A private authority that signs the certificate of the mesh's server: ECDSA on P-256.
struct CertificateAuthority {
    /// How long the authority's own certificate lasts.
    private static let lifetime: TimeInterval = 10 * 365 * 86_400
    /// How long a server's certificate lasts: the longest time that all clients accept.
    private static let serverLifetime: TimeInterval = 397 * 86_400
    /// How long before their creation certificates are valid, because clocks differ.
    private static let leeway: TimeInterval = 3_600

    /// A certificate and its key, in PEM.
    struct Issued {
        let certificate: String
        /// The key, a secret.
        let key: String
    }

    private let certificate: Certificate
    private let key: Certificate.PrivateKey

    /// Makes a new authority.
    init(now: Date = Date()) throws(MeshAuthError) {
        let key = Certificate.PrivateKey(P256.Signing.PrivateKey())
        self.key = key
        certificate = try Self.making("authority") {
            let name = try DistinguishedName {
                OrganizationName("mesh-events")
                CommonName("mesh authority \(UUID().uuidString.prefix(8))")
            }
            return try Certificate(
                version: .v3,
                serialNumber: Certificate.SerialNumber(),
                publicKey: key.publicKey,
                notValidBefore: now - Self.leeway,
                notValidAfter: now + Self.lifetime,
                issuer: name,
                subject: name,
                signatureAlgorithm: .ecdsaWithSHA256,
                extensions: try Certificate.Extensions {
                    Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
                    Critical(KeyUsage(keyCertSign: true, cRLSign: true))
                    SubjectKeyIdentifier(hash: key.publicKey)
                },
                issuerPrivateKey: key
            )
        }
    }

    /// Reads an authority that was made before.
    init(_ issued: Issued) throws(MeshAuthError) {
        do {
            certificate = try Certificate(pemEncoded: issued.certificate)
            key = try Certificate.PrivateKey(pemEncoded: issued.key)
        } catch {
            throw MeshAuthError(.invalidFile, "the authority's certificate and key are not PEM files; create new ones")
        }
    }

    /// The authority's certificate and key, for storing.
    func issued() throws(MeshAuthError) -> Issued {
        try Self.making("authority") {
            Issued(
                certificate: try certificate.serializeAsPEM().pemString + "\n",
                key: try key.serializeAsPEM().pemString + "\n"
            )
        }
    }

    /// Makes a server's certificate, with a new key.
    ///
    /// - Parameters:
    ///   - hosts: DNS names and IP addresses under which clients reach it.
    ///   - name: the certificate's own name, for people.
    ///   - now: the present time.
    func issueServer(hosts: [String], name: String = "mesh server", now: Date = Date()) throws(MeshAuthError) -> Issued
    {
        var names: [GeneralName] = []
        for host in hosts { names.append(try Self.name(of: host)) }
        let serverKey = Certificate.PrivateKey(P256.Signing.PrivateKey())
        return try Self.making("server's certificate") { [names] in
            let server = try Certificate(
                version: .v3,
                serialNumber: Certificate.SerialNumber(),
                publicKey: serverKey.publicKey,
                notValidBefore: now - Self.leeway,
                notValidAfter: min(now + Self.serverLifetime, certificate.notValidAfter),
                issuer: certificate.subject,
                subject: try DistinguishedName {
                    OrganizationName("mesh-events")
                    CommonName(name)
                },
                signatureAlgorithm: .ecdsaWithSHA256,
                extensions: try Certificate.Extensions {
                    Critical(BasicConstraints.notCertificateAuthority)
                    Critical(KeyUsage(digitalSignature: true))
                    try ExtendedKeyUsage([.serverAuth])
                    SubjectAlternativeNames(names)
                    SubjectKeyIdentifier(hash: serverKey.publicKey)
                    AuthorityKeyIdentifier(
                        keyIdentifier: SubjectKeyIdentifier(hash: certificate.publicKey).keyIdentifier
                    )
                },
                issuerPrivateKey: key
            )
            return Issued(
                certificate: try server.serializeAsPEM().pemString + "\n",
                key: try serverKey.serializeAsPEM().pemString + "\n"
            )
        }
    }

    /// When a certificate expires; `nil` for a text that is no certificate.
    static func end(of pem: String) -> Date? { (try? Certificate(pemEncoded: pem))?.notValidAfter }

    /// A host as a name in a certificate: a DNS name or an IP address.
    static func name(of host: String) throws(MeshAuthError) -> GeneralName {
        var address4 = in_addr()
        if inet_pton(AF_INET, host, &address4) == 1 {
            return .ipAddress(ASN1OctetString(contentBytes: withUnsafeBytes(of: &address4) { Array($0)[...] }))
        }
        var address6 = in6_addr()
        if inet_pton(AF_INET6, host, &address6) == 1 {
            return .ipAddress(ASN1OctetString(contentBytes: withUnsafeBytes(of: &address6) { Array($0)[...] }))
        }
        let isName =
            (1...253).contains(host.utf8.count) && !host.hasPrefix(".") && !host.hasPrefix("-")
            && host.utf8.allSatisfy { byte in
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || "-.".utf8.contains(byte)
            }
        guard isName else {
            throw MeshAuthError(
                .invalidName,
                "\(host.debugDescription) is not a host: give a DNS name or an IP address, without port or brackets"
            )
        }
        return .dnsName(host)
    }

    private static func making<Value>(_ what: String, _ body: () throws -> Value) throws(MeshAuthError) -> Value {
        do {
            return try body()
        } catch {
            throw MeshAuthError(.cryptography, "the \(what) could not be made: \(error)")
        }
    }
}
