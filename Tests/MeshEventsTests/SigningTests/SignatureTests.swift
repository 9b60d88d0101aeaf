import Foundation
import MeshEvents
import NATSClient
import Testing

@testable import MeshEventsSigning

/// What a signature says, and of what.
struct SignatureTests {
    private static let subject = "events.user.training.done"
    private static let payload =
        #"{"type":"user.training.done","node":"node-a","timestamp":"2026-11-25T21:00:00Z","data":{"loss":0.023}}"#
    /// Made with Python's `cryptography` from the seed 00 01 02 … 1f.
    private static let publicKey = "UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK"
    private static let seed = "SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776Y"
    private static let signature =
        "v1 \(publicKey) abeSqJQ8dffxb3GDuIYuPDRv8BNMP8IhVNBhnd2coq/mF4Hc9sPeQRnVRcqo/Ir9ZBmQIp98urWcwf2XkaLVCQ=="

    private func verify(
        _ trust: TrustList,
        _ signature: String?,
        node: String = "node-a",
        subject: [UInt8] = Array(Self.subject.utf8),
        payload: [UInt8] = Array(Self.payload.utf8)
    ) -> EventSignature {
        subject.withUnsafeBytes { subject in
            payload.withUnsafeBytes { trust.verify(signature, node: node, subject: subject.bytes, payload: $0.bytes) }
        }
    }

    private func sign(_ key: NodeSigningKey, subject: String = Self.subject, payload: String = Self.payload) throws
        -> String
    {
        try Array(subject.utf8).withUnsafeBytes { subject in
            try Array(payload.utf8).withUnsafeBytes { try key.sign(subject: subject.bytes, payload: $0.bytes) }
        }
    }

    private func trust(_ key: String = Self.publicKey, _ nodes: String...) throws -> TrustList {
        var trust = TrustList()
        for node in nodes.isEmpty ? ["node-a"] : nodes { try trust.trust(node, key: key) }
        return trust
    }

    @Test func aSignatureMadeElsewhereHolds() throws {
        #expect(verify(try trust(), Self.signature) == .signed(by: "node-a"))
        let key = try NodeSigningKey(seed: Self.seed)
        #expect(key.publicKey == Self.publicKey)
        #expect(verify(try trust(), try sign(key)) == .signed(by: "node-a"))
    }

    @Test func withoutASignatureItIsUnsigned() throws {
        #expect(verify(try trust(), nil) == .unsigned)
        #expect(verify(TrustList(), nil) == .unsigned)
    }

    @Test func everyChangedBitIsNoticed() throws {
        let trust = try trust()
        for (bytes, isSubject) in [(Array(Self.subject.utf8), true), (Array(Self.payload.utf8), false)] {
            for index in bytes.indices {
                var changed = bytes
                changed[index] ^= 1 << (index % 8)
                let status =
                    isSubject
                    ? verify(trust, Self.signature, subject: changed) : verify(trust, Self.signature, payload: changed)
                guard case .forged = status else {
                    Issue.record("byte \(index) of the \(isSubject ? "subject" : "payload"): \(status)")
                    continue
                }
            }
        }
    }

    @Test func noBytesMoveFromTheSubjectToThePayload() throws {
        let text = Array(Self.subject.utf8) + Array(Self.payload.utf8)
        let shifted = verify(try trust(), Self.signature, subject: Array(text[..<26]), payload: Array(text[26...]))
        #expect(shifted == .forged(reason: "the signature does not match the subject and the payload"))
    }

    @Test func aKeySpeaksOnlyForItsNodes() throws {
        let trust = try trust(Self.publicKey, "node-a", "node-c")
        #expect(verify(trust, Self.signature, node: "node-c") == .signed(by: "node-c"))
        #expect(
            verify(trust, Self.signature, node: "node-b")
                == .forged(reason: "the key is not one of the node that the event names")
        )
    }

    @Test func aStrangersKeySaysNothing() throws {
        let stranger = try sign(NodeSigningKey.generate())
        guard case .forged(let reason) = verify(try trust(), stranger) else {
            Issue.record("a stranger was believed")
            return
        }
        #expect(reason.hasPrefix("the trust list does not have the key U"))
    }

    @Test func aKeyIsReplacedByTrustingBothForAWhile() throws {
        let (old, new) = (NodeSigningKey.generate(), NodeSigningKey.generate())
        var both = try trust(old.publicKey)
        try both.trust("node-a", key: new.publicKey)
        #expect(both.keys(of: "node-a") == [old.publicKey, new.publicKey].sorted())
        for key in [old, new] { #expect(verify(both, try sign(key)) == .signed(by: "node-a")) }
        #expect(verify(try trust(new.publicKey), try sign(old)).isTrusted == false)
    }

    /// What anybody may write into a header is never believed and never traps.
    @Test func nonsenseIsForged() throws {
        let trust = try trust()
        let fields = Self.signature.split(separator: " ").map(String.init)
        var nonsense = [
            "", " ", "v1", "v1 ", "v1  ", "v2 \(fields[1]) \(fields[2])", "\(Self.signature) ", " \(Self.signature)",
            "v1 \(fields[1]) \(fields[2].dropLast(4))", "v1 \(fields[1]) \(fields[2])A", "v1 é é",
            "v1 \(fields[1]) \(String(repeating: "=", count: 88))",
            "v1 \(fields[1]) \(String(repeating: "A", count: 88))",
            String(repeating: "v1 ", count: 100_000),
        ]
        let bytes = Array(Self.signature.utf8)
        for index in bytes.indices {
            for byte in [0, 0x20, 0x2B, 0x3D, 0x41, 0xFF] as [UInt8] where byte != bytes[index] {
                var changed = bytes
                changed[index] = byte
                nonsense.append(String(decoding: changed, as: UTF8.self))
            }
        }
        for text in nonsense { #expect(!verify(trust, text).isTrusted, "\(text.prefix(200))") }
    }

    // MARK: Lists and files

    @Test func aListIsReadFromText() throws {
        let other = NodeSigningKey.generate().publicKey
        let list = try TrustList(
            text: """
                # who we know
                node-a \(Self.publicKey)   # the workshop
                node-a\t\(other)
                  the attic  \(other)

                """
        )
        #expect(list.keys(of: "node-a") == [Self.publicKey, other].sorted())
        #expect(list.keys(of: "the attic") == [other])
        #expect(list.keys(of: "node-b").isEmpty)
    }

    @Test(arguments: ["\n", "\r\n"])
    func aListMayComeFromAnotherSystem(end: String) throws {
        let other = NodeSigningKey.generate().publicKey
        let lines = ["\u{FEFF}node-a \(Self.publicKey)", "# the hub", "hub\t\(other) keeper", "keeper \(other)", ""]
        let list = try TrustList(text: lines.joined(separator: end))
        #expect(list.keys(of: "node-a") == [Self.publicKey] && list.keys(of: "hub") == [other])
        #expect(list.keys(of: "keeper") == [other])
    }

    @Test(
        arguments: [
            ("node-a", "line 1: write a node's name"),
            ("\n\nnode-a UABC", "line 3:"),
            ("node-a \(seed)", "a seed (S…) was given"),
            ("node-a \(publicKey.dropLast())A", "is not a public NKey"),
        ]
    )
    func aBadLineIsNamed(_ text: String, _ problem: String) {
        let error = #expect(throws: MeshEventsError.self) { try TrustList(text: text) }
        #expect(error?.message.contains(problem) == true, "\(error?.message ?? "")")
        #expect(error?.message.contains(Self.seed) == false)
    }

    @Test func aKeyFileIsItsOwnersAlone() throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "key-\(UUID()).nk").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let key = NodeSigningKey.generate()
        try key.write(to: path)
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        #expect(mode == 0o600)
        #expect(try NodeSigningKey(file: path).publicKey == key.publicKey)
        let again = #expect(throws: MeshEventsError.self) { try NodeSigningKey.generate().write(to: path) }
        #expect(again?.message.contains("exists already") == true)
        try FileManager.default.setAttributes([.posixPermissions: 0o640], ofItemAtPath: path)
        let open = #expect(throws: MeshEventsError.self) { try NodeSigningKey(file: path) }
        #expect(open?.message.contains("chmod 600") == true)
    }

    @Test func whatIsNoKeyFileIsSaidSo() throws {
        #expect(throws: MeshEventsError.self) { try NodeSigningKey(file: "/nowhere") }
        #expect(throws: MeshEventsError.self) { try NodeSigningKey(seed: Self.publicKey) }
        #expect(throws: MeshEventsError.self) { try TrustList(file: "/nowhere") }
    }
}
