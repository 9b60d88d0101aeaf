public import LocalNATSServer

/// A test's wish that could not be granted, in a sentence.
public struct TestSupportError: Error, CustomStringConvertible {
    /// What is wrong and what to do.
    public let description: String

    /// Creates one.
    public init(_ description: String) { self.description = description }
}

/// Runs `body` with a server of its own, on a free port with an empty store, and stops it afterwards however `body`
/// ends.
///
/// - Parameters:
///   - binary: Which server to run.
///   - configuration: Everything else about it; the executable is set to `binary`.
/// - Throws: `TestSupportError` when the server cannot be run, else what `body` throws.
public func withServer<Result>(
    _ binary: NATSServers.Binary = NATSServers.first,
    _ configuration: LocalNATSServer.Configuration = .init(),
    _ body: (LocalNATSServer) async throws -> Result
) async throws -> Result {
    var configuration = configuration
    configuration.executable = binary.path
    let server: LocalNATSServer
    do {
        server = try await LocalNATSServer.start(configuration)
    } catch let error as LocalNATSServerError where error.code == .executableNotFound {
        throw TestSupportError(
            "These tests need a real nats-server: run `make setup`, or set \(NATSServers.variable). \(error)"
        )
    }
    do {
        let result = try await body(server)
        await server.stop()
        return result
    } catch {
        await server.stop()
        throw error
    }
}
