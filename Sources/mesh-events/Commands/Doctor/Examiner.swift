import Foundation
import MeshAlerts
import MeshConcurrency
import MeshEvents
import MeshEventsNATS
import MeshMonitoring
import NATSClient

/// Asks what `mesh-events doctor` has to know. It changes nothing; what it may not see it leaves out.
///
/// After the pings and a look at the stream, everything is asked at once: over a slow link each question takes as long as
/// its round trips.
struct Examiner: Sendable {
    /// How many round trips are measured at most, and for how long.
    private static let pings = (most: 7, time: Duration.seconds(1))
    /// How long the answer to a question may take.
    private static let patience: Duration = .seconds(30)
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

    /// Everything, in the order in which it is to be mended. What takes too long is left out, and said.
    func findings() async throws -> [Finding] {
        // Alone, because other questions would take part of the link.
        let roundTrips = await roundTrips()
        async let account = account()
        let glance = await glance()
        let server = try await server(roundTrips, await account).findings
        switch glance {
        case .failure(let error): return server + [StreamExamination.finding(about: error, of: store.streamName)]
        case .success(let glance):
            async let stream = within(Self.patience) { await self.stream(glance) }
            async let mesh = mesh(lead: glance.lead)
            let streamFindings =
                await stream ?? [Finding("stream", .failure, "the server does not answer all questions about it")]
            return server + streamFindings + (await mesh).findings
        }
    }

    // MARK: The server

    private func roundTrips() async -> [Duration] {
        var roundTrips: [Duration] = []
        let end = ContinuousClock.now + Self.pings.time
        repeat {
            guard let time = try? await transport.connection.roundTripTime(timeout: .seconds(5)) else { break }
            roundTrips.append(time)
        } while roundTrips.count < Self.pings.most && .now < end
        return roundTrips
    }

    private func account() async -> Result<JetStreamAccount, JetStreamError> {
        do throws(JetStreamError) {
            return .success(try await store.jetStream.account())
        } catch {
            return .failure(error)
        }
    }

    private func server(
        _ roundTrips: [Duration],
        _ account: Result<JetStreamAccount, JetStreamError>
    ) async throws -> ServerExamination {
        let environment = ProcessInfo.processInfo.environment
        let configuration = try connection.configuration(servers: nil, environment, name: "")
        let connected = await transport.connection.serverInfo
        guard let info = connected else {
            throw CommandFailure(.unavailable, "the connection was lost; try again")
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

    /// What the stream's information says, which is asked for once.
    private struct Glance: Sendable {
        let information: StreamInformation
        /// The server's time; `nil` when it does not say.
        let time: Timestamp?
        /// How far this machine's clock is ahead of it.
        let lead: Duration?
    }

    private func glance() async -> Result<Glance, MeshEventsError> {
        let (begun, now) = (ContinuousClock.now, Timestamp.now)
        do throws(JetStreamError) {
            let information = try await store.jetStream.streamInfo(store.streamName)
            let time = information.time.flatMap { try? Timestamp(rfc3339: $0) }
            // Half of the round trip is the way back.
            let middle = now.adding((ContinuousClock.now - begun) / 2)
            return .success(Glance(information: information, time: time, lead: time.map { middle.duration(since: $0) }))
        } catch {
            return .failure(MeshEventsError(error, stream: store.streamName))
        }
    }

    private func stream(_ glance: Glance) async -> [Finding] {
        async let asked = try? store.archiveReport()
        do throws(MeshEventsError) {
            let report = try await store.report()
            let archive = await asked
            let now = glance.time ?? .now
            let reports = StreamReports(stream: report, archive: archive)
            var examination = StreamExamination(
                reports: reports,
                hindrance: nil,
                advice: [],
                acknowledgesNothing: glance.information.configuration.fields["no_ack"] == true,
                now: now
            )
            if archive == nil {
                examination.hindrance = await store.archiveHindrance
            } else {
                examination.advice = (try? await StreamAdvice.advice(on: reports, of: store, now: now)) ?? []
            }
            return examination.findings
        } catch {
            return [StreamExamination.finding(about: error, of: store.streamName)]
        }
    }

    // MARK: The mesh

    private func mesh(lead: Duration?) async -> MeshExamination {
        async let leads = within(Self.patience) { await self.leads() }
        async let keeper = within(Self.patience) { await self.keeper() }
        async let watching = within(Self.patience) { await self.watching() }
        async let state = within(Self.patience) { await self.state() }
        return MeshExamination(
            lead: lead,
            leads: await leads ?? [],
            keeper: await keeper ?? nil,
            watching: await watching ?? .unknown,
            mesh: await state ?? .late
        )
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
        return await settled {
            let reading = try await KeeperReading(from: table, verification: verification, of: store)
            return sightings.take(reading)
        }
    }

    private func watching() async -> MeshExamination.Watching {
        var sightings = LeaseSightings()
        let watching = await settled { () async throws -> MeshExamination.Watching? in
            let overview = try await AlertReading.overview(store, verification)
            guard overview.position != nil else { return .neverSetUp }
            switch sightings.take(overview.lease) {
            case .held: return .held
            case .free, .lost: return .ended
            case .undecided: return nil
            }
        }
        return watching ?? .unknown
    }

    /// Looks at a lease until it is known whether it is renewed.
    ///
    /// - Parameter look: what one look says; `nil` when another one is needed.
    /// - Returns: `nil` when it cannot be read.
    private func settled<Answer>(_ look: () async throws -> Answer?) async -> Answer? {
        let end = ContinuousClock.now + Self.leaseTime.longest
        do {
            repeat {
                if let answer = try await look() { return answer }
                try await Task.sleep(for: Self.leaseTime.pause)
            } while .now < end
        } catch {}
        return nil
    }

    private func state() async -> MeshExamination.State {
        guard let monitor = try? await connection.monitor(transport, verification) else { return .unreadable }
        defer { monitor.close() }
        return .known(monitor.state)
    }
}
