public import LocalNATSServer
public import Logging
public import NATSClient

/// A logger that says nothing: tests look at results.
public let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// A configuration for one server, quick to reconnect so that tests need not wait; several are tried in their order.
public func configuration(_ server: LocalNATSServer) throws -> NATSConnection.Configuration {
    try configuration(at: server.url)
}

/// The same for the server, or the proxy before it, at an address.
public func configuration(at address: String) throws -> NATSConnection.Configuration {
    var configuration = NATSConnection.Configuration(servers: try ServerAddress.list(address))
    configuration.randomizesServers = false
    configuration.reconnectDelay = ReconnectDelay(initial: .milliseconds(10), maximum: .milliseconds(200))
    return configuration
}

/// A connection to a test's server.
public func connect(_ server: LocalNATSServer) async throws -> NATSConnection {
    try await NATSConnection.connect(try configuration(server), logger: quiet)
}

/// A connection to the server, or the proxy before it, at an address.
public func connect(at address: String) async throws -> NATSConnection {
    try await NATSConnection.connect(try configuration(at: address), logger: quiet)
}
