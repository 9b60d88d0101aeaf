import MeshEvents

extension EventBus {
    /// A bus that only subscribes: it has no node's name and logs nothing.
    ///
    /// - Parameters:
    ///   - transport: the transport to subscribe on.
    ///   - verification: checks signatures; `nil` checks none.
    ///   - onMalformed: is called with messages that are not events.
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
