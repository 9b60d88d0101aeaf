import Foundation
import MeshAlerts
import MeshEvents
import MeshEventsNATS
import MeshMonitoring
import NATSClient

/// Asks what `mesh-events doctor` has to know. It changes nothing; what it may not see it leaves out.
struct Examiner: Sendable {
    private static let roundTrips = 7
    /// How long a part may take.
    private static let longestPart: Duration = .seconds(30)
    /// How many health events are looked at for the nodes' clocks.
    private static let healthEvents = 500
    /// How long a lease is looked at until it is known whether it is renewed, and how often.
    private static let leaseTime = (longest: Duration.seconds(22), pause: Duration.seconds(1))

    private let connection: ConnectionOptions
    private let transport: NATSTransport
    private let verification: SignatureVerification?
    private let store: JetStreamStore

    init(_ connection: ConnectionOptions, _ transport: NATSTransport, _ verification: SignatureVerification?) throws {
        self.connection = connection
        self.transport = transport
        self.verification = verification
        store = try connection.store(transport)
    }

    /// Everything, in the order in which it is to be mended. What takes too long ends it: what was found until then is said.
    func findings() async throws -> [Finding] {
        let server = try await server().findings
        guard let stream = await limited({ await stream() }) else {
            return server + [Finding("stream", .failure, "the server does not answer questions about it any more")]
        }
        guard stream.reports != nil else { return server + stream.findings }
        guard let mesh = await limited({ await mesh() }) else {
            return server + stream.findings + [
                Finding("mesh", .failure, "reading the state of the mesh takes too long")
            ]
        }
        return server + stream.findings + mesh.findings
    }

    /// Runs a part; `nil` when it takes too long.
    private func limited<Part: Sendable>(_ body: @escaping @Sendable () async -> Part) async -> Part? {
        await withTaskGroup(of: Part?.self) { group in
            group.addTask { await body() }
            group.addTask {
                try? await Task.sleep(for: Self.longestPart)
                return nil
            }
            defer { group.cancelAll() }
            return await group.next() ?? nil
        }
    }

    // MARK: The server

    private func server() async throws -> ServerExamination {
        let environment = ProcessInfo.processInfo.environment
        let configuration = try connection.configuration(servers: nil, environment, name: "")
        let connected = await transport.connection.serverInfo
        guard let info = connected else {
            throw CommandFailure(.unavailable, "the connection was lost; try again")
        }
        var roundTrips: [Duration] = []
        for _ in 0..<Self.roundTrips {
            let begun = ContinuousClock.now
            guard (try? await transport.connection.flush(timeout: .seconds(5))) != nil else { break }
            roundTrips.append(.now - begun)
        }
        let account: Result<JetStreamAccount, JetStreamError>
        do throws(JetStreamError) {
            account = .success(try await store.jetStream.account())
        } catch {
            account = .failure(error)
        }
        return ServerExamination(
            addresses: configuration.servers,
            server: info,
            roundTrips: roundTrips,
            isEncrypted: configuration.tls != nil || info.requiresTLS
                || configuration.servers.contains(where: \.usesTLS),
            logsIn: connection.logsIn(environment),
            account: account
        )
    }

    // MARK: The stream

    private func stream() async -> StreamExamination {
        var examination = StreamExamination(
            reports: nil,
            name: store.streamName,
            hindrance: nil,
            advice: [],
            acknowledgesNothing: false,
            problem: nil,
            now: .now
        )
        do throws(MeshEventsError) {
            let report = try await store.report()
            examination.reports = StreamReports(stream: report, archive: try? await store.archiveReport())
        } catch {
            if error.code != .streamNotFound, error.code != .persistenceUnavailable {
                examination.problem = error.message
            }
            return examination
        }
        let information = try? await store.jetStream.streamInfo(store.streamName)
        examination.acknowledgesNothing = information?.configuration.fields["no_ack"] == true
        if let time = information?.time.flatMap({ try? Timestamp(rfc3339: $0) }) { examination.now = time }
        if examination.reports?.archive == nil { examination.hindrance = await store.archiveHindrance }
        if let reports = examination.reports, reports.archive != nil {
            examination.advice = (try? await StreamAdvice.advice(on: reports, of: store)) ?? []
        }
        return examination
    }

    // MARK: The mesh

    private func mesh() async -> MeshExamination {
        async let keeper = keeper()
        async let isWatched = isWatched()
        let monitor = try? await connection.monitor(transport, verification)
        defer { monitor?.close() }
        return MeshExamination(
            lead: await lead(),
            leads: await leads(),
            keeper: await keeper,
            isWatched: await isWatched,
            mesh: monitor?.state
        )
    }

    /// How far this machine's clock is ahead of the server's: half of the round trip is the way back.
    private func lead() async -> Duration? {
        let (begun, time) = (ContinuousClock.now, Timestamp.now)
        guard let information = try? await store.jetStream.streamInfo(store.streamName),
            let server = information.time.flatMap({ try? Timestamp(rfc3339: $0) })
        else { return nil }
        return time.adding((.now - begun) / 2).duration(since: server)
    }

    private func leads() async -> [(node: String, lead: Duration)] {
        let history = EventHistory(store: store, verification: verification, logger: .disabled)
        let query = EventHistory.Query(
            matching: EventPattern(type: .nodeHealth),
            limit: Self.healthEvents
        )
        guard let events = try? await history.page(query).events else { return [] }
        let newest = Dictionary(
            events.map { ($0.event.node, $0.event.timestamp.duration(since: $0.storedAt)) }
        ) { _, later in later }
        return newest.sorted { $0.key < $1.key }.map { (node: $0.key, lead: $0.value) }
    }

    private func keeper() async -> KeeperReport? {
        let table = JetStreamStateStore(beside: store)
        var sightings = KeeperSightings()
        let end = ContinuousClock.now + Self.leaseTime.longest
        repeat {
            guard let reading = try? await KeeperReading(from: table, verification: verification, of: store) else {
                return nil
            }
            if let report = sightings.take(reading) { return report }
            guard (try? await Task.sleep(for: Self.leaseTime.pause)) != nil else { break }
        } while .now < end
        return nil
    }

    /// Whether a process watches alerts; `nil` when none ever did, or that may not be read.
    private func isWatched() async -> Bool? {
        var sightings = LeaseSightings()
        let end = ContinuousClock.now + Self.leaseTime.longest
        repeat {
            guard let overview = try? await AlertReading.overview(store, verification), overview.position != nil else {
                return nil
            }
            switch sightings.take(overview.lease) {
            case .held: return true
            case .free, .lost: return false
            case .undecided: break
            }
            guard (try? await Task.sleep(for: Self.leaseTime.pause)) != nil else { break }
        } while .now < end
        return false
    }
}
