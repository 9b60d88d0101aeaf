/// What is known about who emitted an event.
public enum EventSignature: Sendable, Hashable, CustomStringConvertible {
    /// Nobody looked: the bus or the reader has no ``SignatureVerification``.
    case unchecked
    /// It carries no signature.
    case unsigned
    /// It carries the valid signature of a key that is trusted for this node, which is the event's.
    case signed(by: String)
    /// It carries a signature that does not hold; the reason says why.
    case forged(reason: String)

    /// Whether the event is known to come from its node.
    public var isTrusted: Bool {
        if case .signed = self { true } else { false }
    }

    /// `unchecked`, `unsigned`, `signed by node-a` or `forged: …`.
    public var description: String {
        switch self {
        case .unchecked: "unchecked"
        case .unsigned: "unsigned"
        case .signed(let node): "signed by \(node)"
        case .forged(let reason): "forged: \(reason)"
        }
    }
}

/// Signs the events of a node; `NodeSigningKey` (module MeshEventsSigning) does, with Ed25519.
public protocol EventSigner: Sendable {
    /// The value of the header ``SignatureVerification/header`` for a message.
    ///
    /// - Parameters:
    ///   - subject: the full subject.
    ///   - payload: the encoded event, every byte of it.
    func sign(
        subject: UnsafeRawBufferPointer,
        payload: UnsafeRawBufferPointer
    ) throws(MeshEventsError) -> String
}

/// Judges signatures; `TrustList` (module MeshEventsSigning) does.
public protocol EventVerifier: Sendable {
    /// What the signature of a message says. Called on the transport's thread.
    ///
    /// - Parameters:
    ///   - signature: the value of the header ``SignatureVerification/header``; `nil` when there is none.
    ///   - node: the node that the event says it is from.
    ///   - subject: the full subject, as it came.
    ///   - payload: the payload, as it came.
    func verify(
        _ signature: String?,
        node: String,
        subject: UnsafeRawBufferPointer,
        payload: UnsafeRawBufferPointer
    ) -> EventSignature
}
