import MeshEvents
import MeshEventsNATS
import NATSClient

/// The messages of read-only commands when there is no stream: a mesh of Go nodes has none until a client creates it.
struct StreamAbsence {
    /// How many other streams a message names.
    private static let mostNames = 3

    private let connection: ConnectionOptions
    private let transport: NATSTransport

    init(_ connection: ConnectionOptions, _ transport: NATSTransport) {
        self.connection = connection
        self.transport = transport
    }

    /// Runs `body`; reports that no events are stored yet when the default stream does not exist.
    ///
    /// - Parameters:
    ///   - showsLive: whether the command shows live events instead. Then a server without JetStream is reported, too.
    ///   - body: what needs the stream.
    /// - Returns: What `body` returns; `nil` without that stream.
    /// - Throws: what `body` throws; as ``explained(_:)`` when a stream that was named does not exist.
    func noted<Result>(showsLive: Bool = false, _ body: () async throws -> Result) async throws -> Result? {
        let name = try connection.place().streamName
        guard name == PersistentEventBus.Configuration().streamName else { return try await explained(body) }
        do {
            return try await body()
        } catch let error as MeshEventsError where error.code == .streamNotFound {
            Diagnostics.say(await others() ?? "no events are stored yet: \(error.message)")
            return nil
        } catch let error as MeshEventsError where showsLive && error.code == .persistenceUnavailable {
            Diagnostics.say("no events are stored: \(error.message)")
            return nil
        }
    }

    /// Runs `body`; when the stream does not exist, throws a failure that says how to create it.
    func explained<Result>(_ body: () async throws -> Result) async throws -> Result {
        do {
            return try await body()
        } catch let error as MeshEventsError where error.code == .streamNotFound {
            throw CommandFailure(.unavailable, await others() ?? "no events are stored: \(error.message)")
        }
    }

    /// The message when other streams keep events; `nil` when there are none, or the server does not tell.
    ///
    /// Then a stream cannot be created: two streams of a server cannot take the same subjects.
    private func others() async -> String? {
        let jetStream = JetStream(connection: transport.connection)
        let subject = EventPattern.all.subject
        guard let name = try? connection.place().streamName,
            let others = try? await jetStream.streamNames(subject: subject, timeout: .seconds(5)), !others.isEmpty
        else { return nil }
        let names = others.prefix(Self.mostNames).map(SafeText.name).joined(separator: ", ")
        let rest = others.count > Self.mostNames ? " and \(others.count - Self.mostNames) more" : ""
        return others.count == 1
            ? "there is no stream \(name), but the stream \(names) keeps events; give --stream \(names) to read it"
            : "there is no stream \(name), but the streams \(names)\(rest) keep events; give one with --stream to read it"
    }
}
