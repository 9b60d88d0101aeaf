import LocalNATSServer
import MeshEvents
import MeshEventsNATS
import TestSupport
import Testing

@Suite("The bucket of the state within the limits of an account", .timeLimit(.minutes(2)))
struct StateTableLimitTests {
    /// The error of making the bucket in an account with these limits.
    private func failure(_ limits: String, _ binary: NATSServers.Binary) async throws -> MeshEventsError? {
        let account = """
            accounts { A { jetstream { \(limits) }, users: [ { user: u, password: p } ] } }
            no_auth_user: u
            """
        var failure: MeshEventsError?
        try await withStore(binary, .init(extraConfiguration: account)) { store, _, _ in
            _ = try await store.open(.init())
            do throws(MeshEventsError) {
                try await JetStreamStateStore(beside: store).create()
            } catch {
                failure = error
            }
        }
        return failure
    }

    @Test("too few streams are not told as too little storage", arguments: NATSServers.all)
    func streams(binary: NATSServers.Binary) async throws {
        let error = try #require(try await failure("max_file: 1G, max_mem: 0, max_streams: 1", binary))
        #expect(error.code == .storageFull && error.message.contains("maximum number of streams"), "\(error)")
    }

    @Test("a smaller bucket is made where the storage is small; too little is said", arguments: NATSServers.all)
    func storage(binary: NATSServers.Binary) async throws {
        #expect(try await failure("max_file: 100M, max_mem: 0", binary) == nil)
        let error = try #require(try await failure("max_file: 10M, max_mem: 0", binary))
        #expect(error.code == .storageFull && error.message.contains("cannot reserve 16 MiB"), "\(error)")
    }
}
