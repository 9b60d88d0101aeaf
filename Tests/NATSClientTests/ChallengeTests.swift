import Testing

@testable import NATSClient

/// What a client signs when a server asks it to.
struct ChallengeTests {
    private func login(_ nonce: String?) throws -> LoginFields {
        let address = try ServerAddress("nats://127.0.0.1:4222")
        return try NATSAuthentication.nkey(NKey()).fields(for: address, nonce: nonce)
    }

    @Test func aServersChallengeIsSigned() throws {
        #expect(try login("PXoWU7zWAMt75FY").signature?.count == 86)
    }

    /// The key may sign other things too; a server must not get those signed.
    @Test(arguments: ["\0mesh-events v1\0", "a b", "a\n", "é"])
    func nothingElseIsSignedAsAChallenge(_ nonce: String) {
        let error = #expect(throws: NATSError.self) { try login(nonce) }
        #expect(error?.code == .authenticationFailed)
    }

    @Test func publicKeysAreReadAndChecked() throws {
        let key = NKey()
        let publicKey = try NKeyPublicKey(key.publicKey)
        let signature = try key.sign([1, 2, 3])
        #expect(publicKey.isValidSignature(signature, for: [1, 2, 3]))
        #expect(!publicKey.isValidSignature(signature, for: [1, 2, 4]))
        #expect(!publicKey.isValidSignature([], for: [1, 2, 3]))
        #expect(throws: NATSError.self) { try NKeyPublicKey("") }
        #expect(throws: NATSError.self) { try NKeyPublicKey(key.seed) }
        #expect(throws: NATSError.self) { try NKeyPublicKey(key.publicKey.lowercased()) }
    }
}
