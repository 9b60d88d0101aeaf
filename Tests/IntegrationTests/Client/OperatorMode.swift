import Foundation
import LocalNATSServer
import NATSClient
import NIOCore
import NKeys
import TestSupport
import Testing

/// Connects, proves that the connection works, and closes it.
func prove(_ settings: NATSConnection.Configuration) async throws {
    let connection = try await NATSConnection.connect(settings, logger: quiet)
    let subscription = try await connection.subscribe(to: "a")
    try connection.publish(ByteBuffer(string: "x"), to: "a")
    #expect(try await take(1, from: subscription).count == 1)
    await connection.close()
}

/// A server that knows JWT users, and one of them.
struct OperatorMode {
    /// What the server's configuration needs.
    let rules: String
    /// The user's JWT.
    let jwt: String
    /// The user's key.
    let user: NKey

    /// - Parameters:
    ///   - connections: how many the account may have; -1 for any number.
    ///   - expires: when the user's JWT ends.
    init(connections: Int = -1, expires: Date? = nil) throws {
        let (operatorKey, account) = (NKey(role: .operator), NKey(role: .account))
        user = NKey()
        let limits =
            #""limits":{"subs":-1,"data":-1,"payload":-1,"imports":-1,"exports":-1,"wildcards":true,"conn":\#(connections),"leaf":-1},"#
        let operatorJWT = try Self.jwt(subject: operatorKey, issuer: operatorKey, type: "operator", extra: "")
        let accountJWT = try Self.jwt(subject: account, issuer: operatorKey, type: "account", extra: limits)
        let unlimited = #""subs":-1,"data":-1,"payload":-1,"#
        jwt = try Self.jwt(subject: user, issuer: account, type: "user", extra: unlimited, expires: expires)
        rules = """
            operator: \(operatorJWT)
            resolver: MEMORY
            resolver_preload: { \(account.publicKey): \(accountJWT) }
            """
    }

    /// The text of the user's credentials file.
    var credentials: String {
        """
        -----BEGIN NATS USER JWT-----
        \(jwt)
        ------END NATS USER JWT------

        -----BEGIN USER NKEY SEED-----
        \(user.seed)
        ------END USER NKEY SEED------
        """
    }

    /// A JWT as `nsc` makes it.
    private static func jwt(
        subject: NKey,
        issuer: NKey,
        type: String,
        extra: String,
        expires: Date? = nil
    ) throws -> String {
        let expiry = expires.map { #""exp":\#(Int($0.timeIntervalSince1970)),"# } ?? ""
        func base64(_ bytes: some Sequence<UInt8>) -> String {
            Data(bytes).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing(
                "=",
                with: ""
            )
        }
        let header = base64(#"{"typ":"JWT","alg":"ed25519-nkey"}"#.utf8)
        let claims = """
            {\(expiry)"jti":"\(UUID())","iat":\(Int(Date().timeIntervalSince1970)),"iss":"\(issuer.publicKey)","name":"test",\
            "sub":"\(subject.publicKey)","nats":{\(extra)"type":"\(type)","version":2}}
            """
        let body = "\(header).\(base64(claims.utf8))"
        return "\(body).\(base64(try issuer.sign(Data(body.utf8))))"
    }
}

/// What a server that knows JWT users needs, and the credentials file of one of them.
func operatorMode(
    _ directory: TemporaryDirectory,
    connections: Int = -1,
    expires: Date? = nil
) throws -> (rules: String, credentials: String) {
    let mode = try OperatorMode(connections: connections, expires: expires)
    return (mode.rules, try directory.file("user.creds", mode.credentials, mode: 0o600))
}
