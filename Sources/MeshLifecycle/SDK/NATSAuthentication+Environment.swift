import Foundation
package import NATSClient

extension NATSAuthentication {
    /// The login that environment variables name, for servers whose address brings none: `JB_NATS_CREDS` is the path of
    /// a credentials file, `MESH_EVENTS_TOKEN` a token. Without either, the address's user and password count.
    ///
    /// - Throws: `invalidArgument` when `JB_NATS_CREDS` names a file that cannot be read.
    package static func named(in environment: [String: String]) throws(NATSError) -> NATSAuthentication {
        if let path = environment["JB_NATS_CREDS"], !path.isEmpty {
            guard FileManager.default.isReadableFile(atPath: path) else {
                let problem = FileManager.default.fileExists(atPath: path) ? "may not be read" : "does not exist"
                throw NATSError(
                    .invalidArgument,
                    "JB_NATS_CREDS must hold the path of a credentials file, but \(path) \(problem)"
                )
            }
            return .credentialsFile(path: path)
        }
        if let token = environment["MESH_EVENTS_TOKEN"], !token.isEmpty { return .token(token) }
        return .none
    }
}
