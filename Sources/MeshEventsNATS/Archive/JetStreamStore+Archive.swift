public import MeshEvents
import NATSClient
import Synchronization

extension JetStreamStore: ArchivingEventStore {
    /// The archive of the stream that was created at this time, for reading; see ``ArchiveReport``.
    ///
    /// - Throws: `persistenceUnavailable`, `timeout`, `connectionFailed`.
    public func archive(ofStreamCreated created: Timestamp?) async throws(MeshEventsError) -> (any EventStore)? {
        let found = try await retrying(until: .now + jetStream.timeout) { _ throws(JetStreamError) in
            try await archives().first { ArchiveStream.isArchive($0, of: created) }
        }
        return found.map { reader(of: $0) }
    }

    /// Creates the archive of the stream, unless it exists. When the stream was deleted and created again, the former
    /// archive stays under its name until that happens once more, or its age empties it.
    ///
    /// - Returns: what became of it; the archive is no reason to fail.
    public func openArchive(_ limits: ArchiveConfiguration) async -> ArchiveOpening {
        do throws(MeshEventsError) {
            try limits.validate()
            return try await retrying(until: .now + .seconds(10)) { _ throws(JetStreamError) in
                try await createArchive(limits)
            }
        } catch {
            return .unavailable(error.message)
        }
    }

    /// Why the server of the connection cannot fill an archive; `nil` when it can.
    public var archiveHindrance: String? {
        get async {
            guard let version = await jetStream.connection.serverInfo?.version,
                !ArchiveStream.isFilled(byServer: version)
            else { return nil }
            return "nats-server \(version) cannot copy events into an archive; take 2.11.5 or newer"
        }
    }

    /// Changes the limits of the archive, and creates it when there is none.
    ///
    /// - Parameters:
    ///   - limits: the limits; smaller ones delete the oldest events at once.
    ///   - replicas: how many servers of a cluster hold the archive, 1 to 5; `nil` leaves it unchanged.
    /// - Throws: `invalidArgument`, `persistenceUnavailable` when it cannot be created, `streamNotFound`,
    ///   `permissionDenied`, `timeout`.
    public func updateArchive(_ limits: ArchiveConfiguration, replicas: Int? = nil) async throws(MeshEventsError) {
        try limits.validate()
        if case .unavailable(let reason) = await openArchive(limits) {
            throw MeshEventsError(.persistenceUnavailable, reason)
        }
        do throws(JetStreamError) {
            guard let archive = try await presentArchive() else { return }
            var wanted = archive.configuration
            wanted.limit(to: limits)
            if let replicas { wanted.replicas = replicas }
            guard wanted != archive.configuration else { return }
            _ = try await jetStream.updateStream(wanted)
        } catch {
            throw MeshEventsError(error, stream: ArchiveConfiguration.streamNames(for: streamName)[0])
        }
    }

    /// Reports on the archive of the stream; when there is only one of a former stream, on that one.
    ///
    /// - Returns: `nil` when there is none, and when the user may not read it.
    /// - Throws: `streamNotFound`, `persistenceUnavailable`, `permissionDenied`, `timeout`.
    public func archiveReport() async throws(MeshEventsError) -> ArchiveReport? {
        let created = try await state().created
        let found = try await retrying(until: .now + jetStream.timeout) { _ throws(JetStreamError) in
            try await archives()
        }
        let present = found.first { ArchiveStream.isArchive($0, of: created) }
        guard let archive = present ?? found.last else { return nil }
        return ArchiveReport(
            stream: try await reader(of: archive).report(),
            limits: ArchiveConfiguration(archive.configuration),
            isOfPresentStream: present != nil
        )
    }

    /// When the oldest event of a subject that an archive has was stored; `nil` when there is none.
    ///
    /// - Throws: `persistenceUnavailable`, `permissionDenied`, `timeout`.
    public func oldestTime(
        of subject: String,
        in archive: ArchiveReport
    ) async throws(MeshEventsError) -> Timestamp? {
        try await retrying(until: .now + jetStream.timeout) { _ throws(JetStreamError) in
            let message = try await jetStream.message(atOrAfter: 1, matching: subject, on: archive.stream.state.name)
            return message.flatMap { try? Timestamp(rfc3339: $0.time) }
        }
    }

    /// Waits, for a short time, until the archive has what the stream has now: before both are purged.
    ///
    /// - Returns: the archive; `nil` for none.
    func archiveWithEverything() async throws(JetStreamError) -> StreamInformation? {
        let end = try await jetStream.streamInfo(streamName).state.lastSequence
        let deadline = ContinuousClock.now + .seconds(2)
        while true {
            guard let archive = try await presentArchive() else { return nil }
            guard archive.state.lastSequence < end, .now < deadline else { return archive }
            guard (try? await Task.sleep(for: .milliseconds(20))) != nil else { return archive }
        }
    }

    private func reader(of archive: StreamInformation) -> JetStreamStore {
        JetStreamStore(jetStream.connection, streamName: archive.configuration.name, prefix: jetStream.prefix)
    }

    /// The archive of the present stream.
    private func presentArchive() async throws(JetStreamError) -> StreamInformation? {
        let created = try await jetStream.streamInfo(streamName).creation
        return try await archives().first { ArchiveStream.isArchive($0, of: created) }
    }

    /// The streams with an archive's names, as far as the user may look at them. The second one exists only beside the
    /// first.
    private func archives() async throws(JetStreamError) -> [StreamInformation] {
        var found: [StreamInformation] = []
        guard !mayNotReadArchive.load(ordering: .relaxed) else { return [] }
        for name in ArchiveConfiguration.streamNames(for: streamName) {
            do throws(JetStreamError) {
                found.append(try await jetStream.streamInfo(name))
            } catch  where error.errorCode == .streamNotFound {
                // Another client may have deleted the first of them.
                continue
            } catch  where error.underlying?.code == .permissionDenied {
                mayNotReadArchive.store(true, ordering: .relaxed)
                break
            }
        }
        return found
    }

    private func createArchive(_ limits: ArchiveConfiguration) async throws(JetStreamError) -> ArchiveOpening {
        let stream = try await jetStream.streamInfo(streamName)
        let archives = try await archives()
        guard !archives.contains(where: { ArchiveStream.isArchive($0, of: stream.creation) }) else { return .found }
        guard !mayNotReadArchive.load(ordering: .relaxed) else {
            return .unavailable("this user may not read the archive")
        }
        if let hindrance = await archiveHindrance { return .unavailable(hindrance) }
        let names = ArchiveConfiguration.streamNames(for: streamName)
        let name: String
        if let free = names.first(where: { name in !archives.contains { $0.configuration.name == name } }) {
            name = free
        } else {
            let former = archives.compactMap { archive in ArchiveStream.origin(of: archive).map { (archive, $0) } }
            guard let oldest = former.min(by: { $0.1 < $1.1 })?.0.configuration.name else {
                return .unavailable("the streams \(names.joined(separator: " and ")) exist and are no archives")
            }
            try await jetStream.deleteStream(oldest)
            name = oldest
        }
        do throws(JetStreamError) {
            _ = try await jetStream.createStream(ArchiveStream.configuration(named: name, of: stream, limits))
            return .created
        } catch  where error.errorCode == .streamNameInUse {
            // Another node has created it meanwhile, with other limits.
            return .found
        }
    }
}
