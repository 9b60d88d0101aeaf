import Foundation

/// The JSON of `CONNECT`.
struct ConnectCommand: Encodable {
    let verbose = false
    let pedantic = false
    let tlsRequired: Bool
    let name: String?
    let lang = "swift"
    let version = PackageVersion.current
    let `protocol` = 1
    let echo = true
    let headers: Bool
    let noResponders: Bool
    let user: String?
    let pass: String?
    let authToken: String?
    let jwt: String?
    let nkey: String?
    let sig: String?

    private enum CodingKeys: String, CodingKey {
        case verbose, pedantic, name, lang, version, `protocol`, echo, headers, user, pass, jwt, nkey, sig
        case tlsRequired = "tls_required"
        case noResponders = "no_responders"
        case authToken = "auth_token"
    }

    init(name: String?, tls: Bool, info: ServerInfo, login: LoginFields) {
        tlsRequired = tls
        self.name = name
        headers = info.supportsHeaders
        noResponders = info.supportsHeaders
        user = login.user
        pass = login.password
        authToken = login.token
        jwt = login.jwt
        nkey = login.nkey
        sig = login.signature
    }

    /// The whole line.
    func line() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.withoutEscapingSlashes]
        return "CONNECT \(String(decoding: try encoder.encode(self), as: UTF8.self))\r\n"
    }
}
