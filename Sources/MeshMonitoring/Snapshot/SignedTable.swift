package import MeshEvents

/// A table whose entries are signed when they are written, and have an empty value when they are read unless a node has
/// signed them that is trusted to keep the state: nothing can be read from that.
package struct SignedTable: ForwardingStateStore {
    package let table: any StateStore
    private let signer: (any EventSigner)?
    private let verifier: (any EventVerifier)?
    private let unchecked: Set<String>

    /// - Parameters:
    ///   - table: where the entries are.
    ///   - signer: signs what is written; `nil` signs nothing.
    ///   - verification: decides which signatures count. `nil`, and a policy that rejects nothing, believe all entries.
    ///   - unchecked: the keys whose entries count without a signature.
    package init(
        _ table: any StateStore,
        signer: (any EventSigner)? = nil,
        verification: SignatureVerification?,
        unchecked: Set<String> = []
    ) {
        self.table = table
        self.signer = signer
        self.unchecked = unchecked
        verifier = verification.flatMap { $0.policy == .reject ? $0.verifier : nil }
    }

    package func entry(_ key: String) async throws(MeshEventsError) -> StateEntry? {
        try await table.entry(key).map { believed($0) }
    }

    package func read(under prefix: String, _ body: (StateEntry) -> Void) async throws(MeshEventsError) {
        try await table.read(under: prefix) { body(believed($0)) }
    }

    package func write(
        _ value: [UInt8],
        signature: String?,
        to key: String,
        expected: UInt64?
    ) async throws(MeshEventsError) -> UInt64 {
        var signature = signature
        if let signer { signature = try signer.signature(subject: subject(of: key), payload: value) }
        return try await table.write(value, signature: signature, to: key, expected: expected)
    }

    private func believed(_ entry: StateEntry) -> StateEntry {
        guard let verifier, !unchecked.contains(entry.key) else { return entry }
        var subject = subject(of: entry.key)
        let signature = subject.withUTF8 { subject in
            entry.value.withUnsafeBytes { value in
                verifier.verifySavedState(
                    entry.signature,
                    subject: UnsafeRawBufferPointer(subject).bytes,
                    value: value.bytes
                )
            }
        }
        if signature.isTrusted { return entry }
        return StateEntry(key: entry.key, value: [], revision: entry.revision, storedAt: entry.storedAt)
    }
}
