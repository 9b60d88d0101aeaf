import Foundation
import LocalNATSServer
import NATSClient
import NIOCore
import TestSupport

/// Asks a server about its connections, as its system account may.
struct Monitor {
    /// What the server's configuration needs for it; everybody else is logged in as an ordinary user.
    static let configuration = LocalNATSServer.Configuration(
        jetStream: false,
        extraConfiguration: """
            accounts {
              SYS { users: [ { user: watcher, password: w } ] }
              APP { users: [ { user: app, password: a } ] }
            }
            system_account: SYS
            no_auth_user: app
            """
    )

    private struct Answer: Decodable {
        struct Connections: Decodable { let connections: [Connection] }
        struct Connection: Decodable {
            let cid: UInt64
            let subscriptions: Int
        }
        let data: Connections
    }

    private let connection: NATSConnection

    init(_ server: LocalNATSServer) async throws {
        var settings = try NATSConnection.Configuration(servers: ServerAddress.list(server.url))
        settings.authentication = .userPassword(user: "watcher", password: "w")
        connection = try await NATSConnection.connect(settings, logger: quiet)
    }

    /// How many subscriptions the server holds for a client.
    func subscriptions(ofClient id: UInt64) async throws -> Int {
        let question = ByteBuffer(string: #"{"cid":\#(id)}"#)
        let answer = try await connection.request(question, to: "$SYS.REQ.SERVER.PING.CONNZ")
        let connections = try JSONDecoder().decode(Answer.self, from: Data(answer.payload.readableBytesView)).data
        guard let client = connections.connections.first(where: { $0.cid == id }) else {
            throw TestSupportError("the server does not know client \(id)")
        }
        return client.subscriptions
    }
}
