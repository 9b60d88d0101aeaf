import Foundation
package import NATSClient

extension NATSAuthentication {
    /// The login that environment variables name, for servers whose address has none. `JB_NATS_CREDS` is the path of a
    /// credentials file, `MESH_EVENTS_NKEY` that of a file with an NKey's seed, `MESH_EVENTS_TOKEN` a token. The first
    /// that is set counts. Without any, the address's user and password count.
    ///
    /// - Throws: `invalidArgument` when a variable names a file that cannot be read, or that others may read too.
    package static func named(in environment: [String: String]) throws(NATSError) -> NATSAuthentication {
        if let path = try EnvironmentFile("JB_NATS_CREDS", "a credentials file", isSecret: true).path(in: environment) {
            return .credentialsFile(path: path)
        }
        let key = EnvironmentFile("MESH_EVENTS_NKEY", "a file with an NKey's seed", isSecret: true)
        if let path = try key.path(in: environment) {
            return .nkeyFile(path: path)
        }
        if let token = environment["MESH_EVENTS_TOKEN"], !token.isEmpty { return .token(token) }
        return .none
    }
}

extension NATSTLSConfiguration {
    /// The TLS configuration from `MESH_EVENTS_TLS_CA`, `MESH_EVENTS_TLS_CERT` and `MESH_EVENTS_TLS_KEY`, paths of PEM
    /// files; `nil` when none is set.
    ///
    /// - Throws: `invalidArgument` when a variable names a file that cannot be read, or only one of the last two is
    ///   set.
    package static func named(in environment: [String: String]) throws(NATSError) -> NATSTLSConfiguration? {
        let authority = try EnvironmentFile("MESH_EVENTS_TLS_CA", "the authorities to trust").path(in: environment)
        let certificate = try EnvironmentFile("MESH_EVENTS_TLS_CERT", "a certificate").path(in: environment)
        let key = try EnvironmentFile("MESH_EVENTS_TLS_KEY", "a certificate's key", isSecret: true)
            .path(in: environment)
        guard authority != nil || certificate != nil || key != nil else { return nil }
        guard (certificate == nil) == (key == nil) else {
            throw NATSError(.invalidArgument, "MESH_EVENTS_TLS_CERT and MESH_EVENTS_TLS_KEY go together; set both")
        }
        return NATSTLSConfiguration(
            certificateAuthorityFile: authority,
            certificateFile: certificate,
            privateKeyFile: key
        )
    }
}
