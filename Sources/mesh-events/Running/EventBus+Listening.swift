import MeshEvents

extension EventBus {
    /// A bus to listen on: it has no node's name, and says nothing to the log.
    ///
    /// - Parameters:
    ///   - transport: where to listen.
    ///   - verification: looks at signatures; `nil` for none.
    ///   - onMalformed: hears of messages that are not events.
    static func listening(
        on transport: some EventTransport,
        verification: SignatureVerification?,
        onMalformed: (@Sendable (MalformedEvent) -> Void)? = nil
    ) -> EventBus {
        EventBus(
            transport: transport,
            node: "",
            configuration: Configuration(onMalformed: onMalformed, verification: verification),
            logger: Silence.logger
        )
    }
}
