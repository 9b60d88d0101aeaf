import MeshAuth
import NATSClient
import Testing

@Suite struct MeshUserTests {
    @Test(arguments: ["", ".a", "-a", "a/b", "a b", "ä", "a\n", String(repeating: "a", count: 65), "../x"])
    func namesThatCouldBeMoreThanAFileAreRefused(name: String) {
        let error = #expect(throws: MeshAuthError.self) { try MeshUser(name: name, role: .tool, key: NKey()) }
        #expect(error?.code == .invalidName)
    }

    @Test func theInboxIsTheOneThatTheClientUses() throws {
        let key = NKey()
        let user = try MeshUser(name: "a.b_c-1", role: .observer, key: key)
        #expect(user.publicKey == key.publicKey)
        #expect(user.inbox == key.inboxPrefix)
        #expect(user.inbox.utf8.count == "_INBOX.".utf8.count + 16)
    }

    @Test(arguments: MeshRole.allCases)
    func nobodyButAnAdminMayChangeStreamsOrControlTools(role: MeshRole) {
        let permissions = MeshPermissions(role, inbox: "_INBOX.U")
        let forbidden = ["STREAM.DELETE", "STREAM.PURGE", "STREAM.UPDATE", "STREAM.MSG.DELETE", "mesh.control"]
        let named = permissions.publish.filter { subject in forbidden.contains { subject.contains($0) } }
        #expect(named.isEmpty)
        #expect(permissions.publish.contains(">") == (role == .admin))
        #expect(permissions.publish.contains("$JS.API.>") == false)
        #expect(permissions.subscribe.contains("_INBOX.>") == false)
        #expect(permissions.answersRequests == (role == .node))
    }
}
