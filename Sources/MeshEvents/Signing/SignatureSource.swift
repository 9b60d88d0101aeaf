/// Adds a node's signature to the messages of its events.
struct SignatureSource: EventHeaderSource {
    let signer: any EventSigner
    let node: String

    /// Signs an event of the node. Events emitted in another node's name are not signed: a verifier would take them as
    /// forged.
    func addFields(to headers: inout MessageHeaders, of message: EncodedEvent) throws(MeshEventsError) {
        guard message.event.node == node else { return }
        try addSignature(to: &headers, subject: message.subject, payload: message.payload)
    }

    /// Signs a message of the node.
    func addSignature(
        to headers: inout MessageHeaders,
        subject: String,
        payload: [UInt8]
    ) throws(MeshEventsError) {
        headers[SignatureVerification.header] = try signer.signature(subject: subject, payload: payload)
    }
}

extension EventSigner {
    /// The value of the header for a message.
    package func signature(subject: String, payload: [UInt8]) throws(MeshEventsError) -> String {
        var subject = subject
        let signature = subject.withUTF8 { subject in
            payload.withUnsafeBytes { payload in
                Result { () throws(MeshEventsError) in
                    try sign(subject: UnsafeRawBufferPointer(subject).bytes, payload: payload.bytes)
                }
            }
        }
        return try signature.get()
    }
}
