import EventWork
import MeshEvents
import MeshEventsSigning

extension SafetyComparisons {
    /// Signed by the emitter, looked at by the subscriber; or neither.
    func compareSignatures() async throws {
        let key = NodeSigningKey.generate()
        var trust = TrustList()
        try trust.trust(Work.node, key: key.publicKey)
        let safe = try await EventMeasures(
            url: url,
            emitting: EventBus.Configuration(signer: key),
            receiving: EventBus.Configuration(verification: SignatureVerification(trust))
        )
        let plain = try await EventMeasures(url: url)
        let count = options.count(25_000)
        _ = try await options.compare(
            [Self.row("emit to handler, signed and looked at", "neither", .rate)],
            ours: safe.handle(count),
            yardstick: plain.handle(count)
        )
        let rounds = options.count(10_000)
        _ = try await options.compare(
            [Self.row("one at a time, p50, signed and looked at", "neither", .time)],
            ours: safe.oneAtATime(rounds),
            yardstick: plain.oneAtATime(rounds)
        )
    }
}
