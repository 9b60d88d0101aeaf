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

    /// The login's fields in `CONNECT`. For ``none`` they are those of the login in `address`, when it has one.
    func fields(for address: ServerAddress, nonce: String?) throws(NATSError) -> LoginFields {
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
            let file = try Self.credentials(path)
            // Without a challenge there is nothing to sign. A server without a login accepts every client, so this is
            // no error, as in other client libraries. A server that wants a login refuses this one and says so.
            var fields = try nonce == nil ? LoginFields() : Self.signed(by: file.key, nonce: nonce)
            fields.nkey = nil
            fields.jwt = file.jwt
            return fields
        }
    }

    /// What inboxes begin with when the configuration does not set it.
    var inboxPrefix: String {
        switch self {
        case .nkey(let key): key.inboxPrefix
        // When the file cannot be read, the login fails and reports it.
        case .nkeyFile(let path): (try? Self.seedFile(path))?.inboxPrefix ?? "_INBOX"
        case .none, .userPassword, .token, .credentialsFile: "_INBOX"
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

    private static func credentials(_ path: String) throws(NATSError) -> CredentialsFile {
        do throws(NKeyError) {
            return try CredentialsFile(path: path)
        } catch {
            throw NATSError(error)
        }
    }

    private static func signed(by key: NKey, nonce: String?) throws(NATSError) -> LoginFields {
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
        let bytes: [UInt8]
        do throws(NKeyError) {
            bytes = try key.sign(Data(nonce.utf8))
        } catch {
            throw NATSError(error)
        }
        let signature = Data(bytes).base64EncodedString()
            .replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
        return LoginFields(nkey: key.publicKey, signature: signature)
    }
}

/// The login's part of `CONNECT`.
struct LoginFields {
    var user: String?
    var password: String?
    var token: String?
    var jwt: String?
    var nkey: String?
    var signature: String?
}
