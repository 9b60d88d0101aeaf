import Foundation
public import LocalNATSServer
import NATSClient
import NIOCore

/// Asks a server about its clients' subscriptions, as its system account may.
public struct SubscriptionCount: Sendable {
    /// What the server's configuration needs for it; everybody else is logged in as an ordinary user.
    public static let accounts = """
        accounts {
          SYS { users: [ { user: watcher, password: w } ] }
          APP { users: [ { user: app, password: a } ], jetstream: enabled }
        }
        system_account: SYS
        no_auth_user: app
        """

    private struct Answer: Decodable {
        struct Connections: Decodable { let connections: [Connection] }
        struct Connection: Decodable {
            let cid: UInt64
            let subscriptions: Int
        }
        let data: Connections
    }

    private let connection: NATSConnection

    /// Logs in to the system account of a server that has ``accounts`` in its configuration.
    public init(_ server: LocalNATSServer) async throws {
        var settings = try NATSConnection.Configuration(servers: ServerAddress.list(server.url))
        settings.authentication = .userPassword(user: "watcher", password: "w")
        connection = try await NATSConnection.connect(settings, logger: quiet)
    }

    /// How many subscriptions the server holds for a client.
    public func ofClient(_ id: UInt64) async throws -> Int {
        let question = ByteBuffer(string: #"{"cid":\#(id)}"#)
        let answer = try await connection.request(question, to: "$SYS.REQ.SERVER.PING.CONNZ")
        let connections = try JSONDecoder().decode(Answer.self, from: Data(answer.payload.readableBytesView)).data
        guard let client = connections.connections.first(where: { $0.cid == id }) else {
            throw TestSupportError("the server does not know client \(id)")
        }
        return client.subscriptions
    }
}
