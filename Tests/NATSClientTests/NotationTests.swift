import Foundation
import MessageGrammar
import NIOCore
import TestSupport
import Testing

@testable import NATSClient

@Suite("Addresses, headers and commands")
struct NotationTests {
    @Test(
        "addresses",
        arguments: [
            ("nats://h:1", "nats://h:1"), ("h", "nats://h:4222"), ("127.0.0.1:5", "nats://127.0.0.1:5"),
            ("tls://h", "tls://h:4222"), ("NATS://h/", "nats://h:4222"), ("[::1]:9", "nats://[::1]:9"),
            ("nats://[fe80::1]", "nats://[fe80::1]:4222"), ("nats://u:p@h:2", "nats://h:2"), (" h ", "nats://h:4222"),
        ]
    )
    func addresses(text: String, expected: String) throws {
        #expect(try ServerAddress(text).description == expected)
    }

    @Test("logins in addresses are percent-decoded and never shown")
    func login() throws {
        let address = try ServerAddress("nats://me:p%40ss%2F@h")
        #expect(address.user == "me")
        #expect(address.password == "p@ss/")
        #expect(!address.description.contains("p@ss"))
        #expect(try ServerAddress("nats://s3cr3t@h").user == "s3cr3t")
    }

    @Test(
        "wrong addresses say what is wrong",
        arguments: ["", "http://h", "nats://", "h:0", "h:65536", "h:x", "::1", "[::1", "[::1]x", "h/path", "a b"]
    )
    func wrongAddresses(text: String) {
        let error = #expect(throws: NATSError.self) { try ServerAddress(text) }
        #expect(error?.code == .invalidAddress)
    }

    @Test("an error about an address does not repeat its password")
    func secretInError() {
        let error = #expect(throws: NATSError.self) { try ServerAddress("nats://me:hunter2@h:x") }
        #expect(error?.message.contains("hunter2") == false)
    }

    @Test(
        "no part of a login is shown, whatever it is made of; the advice is to percent-encode it",
        arguments: [
            "nats://user:hunter,2secret@host", "nats://user:hunter2@secret,word@host:4222", "hunter,2secret@host",
            "nats://user:hunter/2secret@host", "ws://user:hunter/2secret@host", "ws://user:12/2secret@host/path",
            "nats://hunter2:secret@host:x", "nats://user:hunter2@secret:x@:y", "hunter2://secret@host",
            "nats://a:4222,nats://user:hunter2secret@host:port", "nats://user:hunter2secret@",
            "nats://user:hunter2[secret@ho st", "nats://user:p@ss:hunter2/secret@host",
        ]
    )
    func nothingOfALoginIsShown(text: String) {
        let error = #expect(throws: NATSError.self) { try ServerAddress.list(text) }
        let shown = error.map { "\($0)" } ?? ""
        for part in ["hunter", "secret", "2secret", "word", "user"] {
            #expect(!shown.replacing("password", with: "").replacing("in user,", with: "").contains(part), "\(shown)")
        }
        #expect(shown.contains("percent-encode"), "\(shown)")
    }

    @Test("a password whose host was forgotten is not shown as a port; a path's query may be a secret")
    func secretsInOtherPlaces() throws {
        let error = #expect(throws: NATSError.self) { try ServerAddress("nats://user:hunter2") }
        #expect(error?.message.contains("hunter2") == false && error?.message.contains("port") == true)
        let address = try ServerAddress("wss://host/nats?access_token=hunter2")
        #expect(!"\(address)".contains("hunter2"))
    }

    @Test("encoded, each of these logins goes in one piece")
    func encodedLogins() throws {
        let addresses = try ServerAddress.list("nats://u:a%2Cb%40c%2Fd@h, tls://t%2C@i,j")
        #expect(addresses.map(\.host) == ["h", "i", "j"])
        #expect(addresses.map(\.password) == ["a,b@c/d", nil, nil])
        #expect(addresses.map(\.user) == ["u", "t,", nil])
    }

    @Test("header blocks: hostile names and values are read leniently and never trap")
    func headerBlocks() {
        let block =
            "NATS/1.0 503 No Responders\r\nA: b\r\nna me: x\r\n\u{e9}t\u{e9}:  y \r\nno colon\r\n: empty\r\nA:c\r\n\r\n"
        block.withUTF8Copy { bytes in
            let header = HeaderBlock(bytes: bytes)
            #expect(header.status?.code == 503)
            #expect(header.status?.description == "No Responders")
            let fields = header.fields()
            #expect(fields.values(of: "A") == ["b", "c"])
            #expect(fields["na me"] == "x")
            #expect(fields["\u{e9}t\u{e9}"] == "y")
            #expect(fields.fields.count == 4)
        }
        var random = SeededGenerator(seed: 3)
        for _ in 0..<5000 {
            let bytes = (0..<Int.random(in: 0...80, using: &random)).map { _ in
                [0, 9, 10, 13, 32, 58, 65, 0xFF, 0xE9].randomElement(using: &random) ?? UInt8(0)
            }
            bytes.withUnsafeBytes { raw in
                let header = HeaderBlock(bytes: raw)
                _ = header.status
                #expect(header.fields().fields.count <= 81)
            }
        }
    }

    @Test("header fields with line breaks or impossible names are refused")
    func invalidHeaders() {
        for headers in [["": "x"], ["a b": "x"], ["a:": "x"], ["\u{e9}": "x"], ["a": "x\r\ny"], ["a": "\n"]]
            as [NATSHeaders]
        {
            #expect(throws: NATSError.self) { try headers.validate() }
        }
        #expect(throws: Never.self) { try (["Nats-Msg-Id": "\u{e9}, 1"] as NATSHeaders).validate() }
    }

    @Test("PUB and HPUB are written as the protocol wants")
    func publish() {
        var buffer = ByteBuffer()
        func write(_ subject: String, _ reply: String, _ headers: NATSHeaders, _ payload: String) {
            subject.withUTF8Copy { subject in
                reply.withUTF8Copy { reply in
                    headers.block.withUnsafeBytes { headers in
                        payload.withUTF8Copy { payload in
                            CommandWriter.publish(
                                into: &buffer,
                                subject: subject,
                                reply: reply,
                                headers: headers,
                                payload: payload
                            )
                        }
                    }
                }
            }
        }
        write("a.b", "", [:], "")
        write("a", "r", [:], "0123456789")
        write("a", "", ["K": "v"], "xy")
        write("a", "r", ["K": "v", "L": ""], "")
        #expect(
            String(buffer: buffer)
                == "PUB a.b 0\r\n\r\nPUB a r 10\r\n0123456789\r\nHPUB a 18 20\r\nNATS/1.0\r\nK: v\r\n\r\nxy\r\n"
                + "HPUB a r 23 23\r\nNATS/1.0\r\nK: v\r\nL: \r\n\r\n\r\n"
        )
    }

    @Test("sizes are written digit for digit")
    func sizes() {
        for size in [0, 9, 10, 99, 100, 12_345, 100_000] {
            var buffer = ByteBuffer()
            let none = UnsafeRawBufferPointer(start: nil, count: 0)
            "s".withUTF8Copy { subject in
                [UInt8](repeating: 1, count: size).withUnsafeBytes { payload in
                    CommandWriter.publish(into: &buffer, subject: subject, reply: none, headers: none, payload: payload)
                }
            }
            #expect(buffer.readString(length: 7 + "\(size)".count - 1) == "PUB s \(size)")
            #expect(buffer.readableBytes == size + 4)
        }
    }

    @Test(
        "subjects",
        arguments: [
            ("a", true, true), ("a.b.c", true, true), ("a.*", false, true), ("a.>", false, true), (">", false, true),
            ("*", false, true), ("a.*b", true, true), ("", false, false), ("a..b", false, false), (".a", false, false),
            ("a.", false, false), ("a b", false, false), ("a\r\nPUB x", false, false), ("a.>.b", false, false),
            ("\u{e9}.\u{65e5}", true, true), ("a\tb", false, false), ("a\u{0}", false, false),
        ]
    )
    func subjects(subject: String, publishes: Bool, subscribes: Bool) {
        #expect(((try? SubjectRules.validatePublish(subject)) != nil) == publishes)
        #expect(((try? SubjectRules.validateSubscribe(subject)) != nil) == subscribes)
    }

    @Test(
        "queue groups: what a server takes, control characters excepted",
        arguments: [
            ("g", true), ("a.b", true), ("a..", true), ("*", true), (">", true), ("a.>", true), ("\u{e9}", true),
            ("", false), ("a b", false), ("a\tb", false), ("a\r\nPUB x", false), ("a\u{0}", false), ("\u{7f}", false),
        ]
    )
    func queueGroups(group: String, isValid: Bool) {
        #expect(((try? SubjectRules.validateQueueGroup(group)) != nil) == isValid)
    }

    @Test("server reports")
    func reports() {
        #expect(ServerReport("Permissions Violation for Publish to \"a.b\"").kind == .publishDenied("a.b"))
        let denied = ServerReport("Permissions Violation for Subscription to \"x.>\" using queue \"q\"")
        #expect(denied.kind == .subscriptionDenied(.init(subject: "x.>", queueGroup: "q")))
        let taken = ServerReport("Permissions Violation for Subscription to \"x.*\" (sid \"7\")")
        #expect(taken.kind == .subscriptionDenied(.init(subject: "x.*", sid: 7)))
        let odd = ServerReport(#"Permissions Violation for Publish to "a\"b\\c.\u200b\x7f\U000e0001é""#)
        #expect(odd.kind == .publishDenied("a\"b\\c.\u{200b}\u{7f}\u{e0001}é"))
        #expect(odd.error.subject == "a\"b\\c.\u{200b}\u{7f}\u{e0001}é")
        #expect(ServerReport("Permissions Violation for Publish to \"a").kind == .publishDenied(""))
        #expect(denied.error.code == .permissionDenied)
        #expect(!denied.closesConnection)
        #expect(ServerReport("Authorization Violation").error.code == .authenticationFailed)
        let late = ServerReport("Authentication Timeout")
        #expect(late.error.code == .connectionFailed && late.error.isRetriable && late.closesConnection)
        #expect(late.error.message.contains("the link to it is slow"))
        #expect(ServerReport("User Authentication Expired").closesConnection)
        #expect(ServerReport("Stale Connection").closesConnection)
        #expect(!ServerReport("Invalid Subject").closesConnection)
    }
}
