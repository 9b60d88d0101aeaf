/// What an event's signature says about its emitter.
public enum EventSignature: Sendable, Hashable, CustomStringConvertible {
    /// Not verified: the bus or the reader has no ``SignatureVerification``.
    case unchecked
    /// It carries no signature.
    case unsigned
    /// It carries a valid signature by a key that is trusted for this node, the event's node.
    case signed(by: String)
    /// It carries a signature that is not valid; the reason says why.
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

/// Signs the events of a node, as `NodeSigningKey` (module MeshEventsSigning) does with Ed25519.
public protocol EventSigner: Sendable {
    /// The value of the header ``SignatureVerification/header`` for a message: an event, or an entry of the saved state.
    ///
    /// - Parameters:
    ///   - subject: the full subject.
    ///   - payload: the encoded event, or the entry's value, every byte of it.
    func sign(
        subject: RawSpan,
        payload: RawSpan
    ) throws(MeshEventsError) -> String
}

/// Verifies signatures, as `TrustList` (module MeshEventsSigning) does.
public protocol EventVerifier: Sendable {
    /// Verifies the signature of a message. Called on the transport's thread.
    ///
    /// - Parameters:
    ///   - signature: the value of the header ``SignatureVerification/header``; `nil` when there is none.
    ///   - node: the node that the event names as its emitter.
    ///   - subject: the full subject, as received.
    ///   - payload: the payload, as received.
    func verify(
        _ signature: String?,
        node: String,
        subject: RawSpan,
        payload: RawSpan
    ) -> EventSignature

    /// Verifies the signature of an entry of the saved state, which a node writes that keeps the state of the mesh.
    ///
    /// - Parameters:
    ///   - signature: the value of the header ``SignatureVerification/header``; `nil` when there is none.
    ///   - subject: the subject of the entry's key.
    ///   - value: the entry's value.
    /// - Returns: `signed` only for the key of a node that is trusted to keep the state of the mesh.
    func verifySavedState(_ signature: String?, subject: RawSpan, value: RawSpan) -> EventSignature
}

extension EventVerifier {
    /// Trusts no node to keep the state.
    public func verifySavedState(_ signature: String?, subject: RawSpan, value: RawSpan) -> EventSignature {
        signature == nil ? .unsigned : .forged(reason: "no node is trusted to keep the state of the mesh")
    }
}
