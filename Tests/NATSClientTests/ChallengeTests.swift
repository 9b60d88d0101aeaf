import NKeys
import TestSupport
import Testing

@testable import NATSClient

/// What a client signs when a server asks it to.
struct ChallengeTests {
    private func login(_ nonce: String?, _ authentication: NATSAuthentication = .nkey(NKey())) throws -> LoginFields {
        let address = try ServerAddress("nats://127.0.0.1:4222")
        guard case .ready(let fields) = try authentication.login(for: address, nonce: nonce, answer: nil) else {
            throw TestSupportError("The login is to be asked for.")
        }
        return fields
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

    @Test(arguments: [true, false]) func aFileWithoutASeedFailsTheLogin(isPresent: Bool) throws {
        let directory = try TemporaryDirectory()
        let path = isPresent ? try directory.file("login", "no seed", mode: 0o600) : directory.path + "/missing"
        for authentication in [.nkeyFile(path: path), .credentialsFile(path: path)] as [NATSAuthentication] {
            let error = #expect(throws: NATSError.self) { try login("abc", authentication) }
            #expect(error?.code == .authenticationFailed)
        }
    }
}
