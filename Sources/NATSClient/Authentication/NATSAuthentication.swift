import FileReading
import Foundation
public import NKeys

/// How a client logs in.
public enum NATSAuthentication: Sendable {
    /// No login; a server's address may carry one (`nats://user:password@host`).
    case none
    /// A user's name and password.
    case userPassword(user: String, password: String)
    /// A token.
    case token(String)
    /// An NKey: the client signs the server's challenge; the seed never leaves the process.
    case nkey(NKey)
    /// A file with an NKey seed, read again at every login; refused when other users may read or write it.
    case nkeyFile(path: String)
    /// A `.creds` file (JWT and seed), read again at every login; refused when other users may read or write it.
    case credentialsFile(path: String)
    /// A user's JWT, and the key that signs the server's challenge; no key for a bearer JWT.
    case jwt(String, key: NKey?)
    /// A user's name and password, asked for at every attempt to connect.
    ///
    /// The callback has as long as ``NATSConnection/Configuration/connectTimeout``; then its task is cancelled. When it
    /// throws, or is late, the attempt fails, and the next one asks again. So do the callbacks below.
    case userPasswordProvider(@Sendable () async throws -> (user: String, password: String))
    /// A token, asked for at every attempt to connect: one that expires, for instance.
    case tokenProvider(@Sendable () async throws -> String)
    /// A user's JWT, asked for at every attempt to connect, and the signature of the server's challenge: for a key that
    /// this process does not hold. No signature for a bearer JWT.
    ///
    /// A server gives a client only some seconds to log in (`authorization { timeout }`, by default 2), and the signature
    /// is asked for within them.
    case jwtProvider(@Sendable () async throws -> String, signature: Signature?)
    /// An NKey by its public key (`U…`), and the signature of the server's challenge, asked for as above.
    case nkeyProvider(publicKey: String, signature: Signature)

    /// Signs a server's challenge with an Ed25519 key; returns the 64 bytes of the signature.
    public typealias Signature = @Sendable (_ challenge: [UInt8]) async throws -> [UInt8]

    /// The login that the text of a credentials file contains (a JWT and a seed), for credentials that are not in a file.
    ///
    /// - Throws: `authenticationFailed` when the text has no JWT or no seed; the message shows nothing of it.
    public static func credentials(_ text: String) throws(NATSError) -> NATSAuthentication {
        do throws(NKeyError) {
            let file = try CredentialsFile(text: text, name: "the text")
            return .jwt(file.jwt, key: file.key)
        } catch {
            throw NATSError(error)
        }
    }

    /// What is to be asked before a connection is opened; `nil` for nothing.
    var question: (@Sendable () async throws(NATSError) -> LoginFields)? {
        switch self {
        case .userPasswordProvider(let provider):
            return { () async throws(NATSError) in
                let login = try await Self.asked("user and password", provider)
                return LoginFields(user: login.user, password: login.password)
            }
        case .tokenProvider(let provider):
            return { () async throws(NATSError) in LoginFields(token: try await Self.asked("the token", provider)) }
        case .jwtProvider(let provider, _):
            return { () async throws(NATSError) in LoginFields(jwt: try await Self.asked("the JWT", provider)) }
        case .none, .userPassword, .token, .nkey, .nkeyFile, .credentialsFile, .jwt, .nkeyProvider: return nil
        }
    }

    /// The login to send to a server.
    ///
    /// - Parameters:
    ///   - address: the server's. For ``none`` the login in it counts, when it has one.
    ///   - nonce: the server's challenge; `nil` when it sent none.
    ///   - answer: the answer to the ``question``.
    func login(for address: ServerAddress, nonce: String?, answer: LoginFields?) throws(NATSError) -> Login {
        switch self {
        case .jwtProvider(_, let signature?):
            guard let nonce else { break }
            return .unsigned(try Self.signing(answer ?? LoginFields(), nonce, signature))
        case .nkeyProvider(let publicKey, let signature):
            do throws(NKeyError) {
                _ = try NKeyPublicKey(publicKey)
            } catch {
                throw NATSError(error)
            }
            return .unsigned(try Self.signing(LoginFields(nkey: publicKey), Self.challenge(nonce), signature))
        default: break
        }
        if let answer { return .ready(answer) }
        return .ready(try fields(for: address, nonce: nonce))
    }

    private func fields(for address: ServerAddress, nonce: String?) throws(NATSError) -> LoginFields {
        switch self {
        case .none:
            guard let user = address.user else { return LoginFields() }
            guard let password = address.password else { return LoginFields(token: user) }
            return LoginFields(user: user, password: password)
        case .userPassword(let user, let password):
            return LoginFields(user: user, password: password)
        case .token(let token):
            return LoginFields(token: token)
        case .nkey(let key):
            return try Self.signed(by: key, nonce: nonce)
        case .nkeyFile(let path):
            return try Self.signed(by: try Self.seedFile(path), nonce: nonce)
        case .credentialsFile(let path):
            let file = try Self.file(path)
            return try Self.fields(jwt: file.jwt, key: file.key, nonce: nonce)
        case .jwt(let jwt, let key):
            return try Self.fields(jwt: jwt, key: key, nonce: nonce)
        case .userPasswordProvider, .tokenProvider, .jwtProvider, .nkeyProvider:
            return LoginFields()
        }
    }

    private static func fields(jwt: String, key: NKey?, nonce: String?) throws(NATSError) -> LoginFields {
        // Without a challenge there is nothing to sign. A server without a login accepts every client, so this is
        // no error, as in other client libraries. A server that wants a login refuses this one and says so.
        guard let key, nonce != nil else { return LoginFields(jwt: jwt) }
        var fields = try signed(by: key, nonce: nonce)
        fields.nkey = nil
        fields.jwt = jwt
        return fields
    }

    /// What inboxes begin with when the configuration does not set it.
    var inboxPrefix: String {
        switch self {
        case .nkey(let key): key.inboxPrefix
        // When the file cannot be read, the login fails and reports it.
        case .nkeyFile(let path): (try? Self.seedFile(path))?.inboxPrefix ?? "_INBOX"
        case .nkeyProvider(let publicKey, _): (try? NKeyPublicKey(publicKey))?.inboxPrefix ?? "_INBOX"
        case .none, .userPassword, .token, .credentialsFile, .jwt, .userPasswordProvider, .tokenProvider, .jwtProvider:
            "_INBOX"
        }
    }

    /// Calls a callback; what it throws becomes the error of a login that may be tried again.
    private static func asked<Value>(
        _ what: String,
        _ callback: () async throws -> Value
    ) async throws(NATSError) -> Value {
        do {
            return try await callback()
        } catch {
            throw .callback(what, error)
        }
    }

    /// Has a callback sign the server's challenge.
    private static func signing(
        _ fields: LoginFields,
        _ nonce: String,
        _ signature: @escaping Signature
    ) throws(NATSError) -> @Sendable () async throws(NATSError) -> LoginFields {
        let challenge = Array(try Self.challenge(nonce).utf8)
        return { () async throws(NATSError) in
            let bytes = try await Self.asked("the signature") { try await signature(challenge) }
            guard bytes.count == 64 else {
                throw NATSError(
                    .authenticationFailed,
                    "the callback for the signature returned \(bytes.count) bytes; a signature has 64, not in base64",
                    isRetriable: true
                )
            }
            var fields = fields
            fields.signature = Self.text(of: bytes)
            return fields
        }
    }

    private static func seedFile(_ path: String) throws(NATSError) -> NKey {
        let text = try SecretFile("NKey file", path).text(.authenticationFailed)
        do throws(NKeyError) {
            return try NKey(seedIn: text)
        } catch {
            throw NATSError(error)
        }
    }

    private static func file(_ path: String) throws(NATSError) -> CredentialsFile {
        do throws(NKeyError) {
            return try CredentialsFile(path: path)
        } catch {
            throw NATSError(error)
        }
    }

    private static func signed(by key: NKey, nonce: String?) throws(NATSError) -> LoginFields {
        let challenge = try challenge(nonce)
        let bytes: [UInt8]
        do throws(NKeyError) {
            bytes = try key.sign(Data(challenge.utf8))
        } catch {
            throw NATSError(error)
        }
        return LoginFields(nkey: key.publicKey, signature: text(of: bytes))
    }

    /// The server's challenge, checked.
    private static func challenge(_ nonce: String?) throws(NATSError) -> String {
        guard let nonce else {
            throw NATSError(
                .authenticationFailed,
                "the server sent no challenge, so it does not know NKeys; configure it with NKey or JWT users"
            )
        }
        // Servers send base64. This key signs other things too (events): a server must not get those signed as a
        // challenge.
        guard nonce.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw NATSError(.authenticationFailed, "the server's challenge is invalid: it must be printable ASCII")
        }
        return nonce
    }

    /// A signature as `CONNECT` carries it: base64 for URLs.
    private static func text(of signature: [UInt8]) -> String {
        Data(signature).base64EncodedString()
            .replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }
}

/// A login, as far as it is known without asking.
enum Login {
    /// It can be sent.
    case ready(LoginFields)
    /// The signature is to be asked for.
    case unsigned(@Sendable () async throws(NATSError) -> LoginFields)
}

/// The login's part of `CONNECT`.
struct LoginFields: Sendable {
    var user: String?
    var password: String?
    var token: String?
    var jwt: String?
    var nkey: String?
    var signature: String?
}
