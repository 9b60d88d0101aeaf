import Foundation
import MeshAuth
import NKeys
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
    func nobodyButAnAdminMayChangeStreams(role: MeshRole) {
        let permissions = MeshPermissions(role, inbox: "_INBOX.U", durables: ["d"], nodes: ["n"])
        let forbidden = [
            "STREAM.CREATE", "STREAM.DELETE", "STREAM.PURGE", "STREAM.UPDATE", "STREAM.MSG.DELETE", "DIRECT.GET",
            "CONSUMER.CREATE", "CONSUMER.DURABLE", "CONSUMER.DELETE", "mesh.control.tool",
        ]
        let named = permissions.publish.filter { subject in forbidden.contains { subject.contains($0) } }
        // The node that keeps the state removes what does not belong into its bucket.
        let expected: [MeshRole: [String]] = [
            .node: ["$JS.API.STREAM.PURGE.KV_MESH_STATE"], .operator: ["mesh.control.tool.*"],
        ]
        #expect(named == expected[role] ?? [])
        #expect(permissions.publish.contains { $0.hasPrefix("mesh.logs") } == (role == .operator))
        #expect(permissions.publish.contains { $0.hasPrefix("events.") } == (role == .tool || role == .node))
        #expect(permissions.publish.contains("$KV.MESH_STATE.>") == (role == .node))
        #expect(permissions.publish.contains(">") == (role == .admin))
        #expect(permissions.publish.contains("$JS.API.>") == false)
        #expect(permissions.subscribe.contains("_INBOX.>") == false)
        let takes = permissions.publish.contains("$JS.API.CONSUMER.MSG.NEXT.MESH_EVENTS.d")
        #expect(takes == (role == .tool || role == .node))
        #expect(permissions.publish.contains("events.dead_letter.d") == takes)
        #expect(
            permissions.publish.contains { $0.hasPrefix("events.dead_letter.") && $0 != "events.dead_letter.d" }
                == false
        )
        #expect(permissions.subscribe.contains("mesh.control.tool.n") == (role == .node))
        #expect(permissions.subscribe.contains("mesh.logs.n") == (role == .node))
        #expect(permissions.subscribe.contains("mesh.control.answer.*") == (role == .operator))
    }

    @Test(arguments: ["", "a.b", "*", ">", "a b", "ä", "a*", String(repeating: "a", count: 65)])
    func aDurableThatCouldBeMoreThanATokenIsRefused(name: String) {
        let error = #expect(throws: MeshAuthError.self) {
            try MeshUser(name: "a", role: .tool, key: NKey(), durables: [name])
        }
        #expect(error?.code == .invalidName)
        let text = #"{"name":"a","role":"tool","publicKey":"U","durables":["\#(name)"]}"#
        #expect(throws: MeshAuthError.self) { try JSONDecoder().decode(MeshUser.self, from: Data(text.utf8)) }
    }

    @Test func whatIsListedForAUserIsByItsName() throws {
        let tool = try MeshUser(name: "mailer", role: .tool, key: NKey())
        #expect(tool.durables == ["mailer"] && tool.nodes == [])
        #expect(try MeshUser(name: "a.b", role: .tool, key: NKey()).durables == [])
        #expect(try MeshUser(name: "o", role: .observer, key: NKey()).durables == [])
        let node = try MeshUser(name: "pi.local", role: .node, key: NKey(), durables: ["d"])
        #expect(node.nodes == ["pi.local"] && node.durables == ["d"])
        #expect(node.permissions.subscribe.contains("mesh.control.tool.pi_2elocal"))
        // Written before users had either.
        let old = #"{"name":"pi","role":"node","publicKey":"U"}"#
        let read = try JSONDecoder().decode(MeshUser.self, from: Data(old.utf8))
        #expect(read.nodes == ["pi"] && read.durables == ["pi"])
    }

    @Test func aNodeNameWithWildcardsIsNoRightToOthers() throws {
        let node = try MeshUser(name: "n", role: .node, key: NKey(), nodes: ["*", ">", "a.>"])
        let control = node.permissions.subscribe.filter { $0.hasPrefix("mesh.control") }
        #expect(control == ["mesh.control.tool._2a", "mesh.control.tool._3e", "mesh.control.tool.a_2e_3e"])
    }
}
