import Foundation
import Testing

@testable import NKeys

@Suite("Keys and credentials files")
struct NKeyTests {
    // The pair of the NATS documentation's NKey example.
    @Test("an NKey seed gives the public key that NATS's own tools give")
    func nkey() throws {
        let key = try NKey(seed: "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY")
        #expect(key.publicKey == "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4")
        #expect(key.seed == "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY")
        #expect(try key.sign(Data("nonce".utf8)).count == 64)
    }

    @Test("new NKeys survive their notation")
    func newKeys() throws {
        for _ in 0..<20 {
            let key = NKey()
            #expect(key.publicKey.hasPrefix("U") && key.publicKey.count == 56)
            #expect(key.seed.hasPrefix("SU") && key.seed.count == 58)
            #expect(try NKey(seed: key.seed).publicKey == key.publicKey)
        }
    }

    @Test("mistyped seeds are refused without being shown")
    func wrongSeeds() {
        let good = NKey().seed
        // Not the last: two bits of it stand for nothing.
        let place = good.index(good.startIndex, offsetBy: 20)
        let swapped = good.replacingCharacters(in: place...place, with: good[place] == "A" ? "B" : "A")
        for seed in ["", "SU", "not a seed", swapped, NKey().publicKey] {
            let error = #expect(throws: NKeyError.self) { try NKey(seed: seed) }
            #expect(error?.code == .invalidSeed)
            if seed.count > 10 { #expect(error?.message.contains(seed) == false) }
        }
    }

    @Test("a seed is found in a file whatever stands around it")
    func seedInAFile() throws {
        let key = NKey()
        for text in [
            "\(key.seed)", "  \(key.seed)\t\r\n", "\n\n\(key.seed)\n", "Some key of mine\n\(key.seed)",
            "# comment\n \(key.seed)\n\(key.publicKey)\n", "\(key.publicKey)\n\(key.seed)",
            "-----BEGIN USER NKEY SEED-----\n\(key.seed)\n------END USER NKEY SEED------\n",
        ] {
            #expect(try NKey(seedIn: text).publicKey == key.publicKey, "\(text.debugDescription)")
        }
        for text in ["", "\n", "Secret words", String(key.seed.dropLast()), key.publicKey] {
            let error = #expect(throws: NKeyError.self) { try NKey(seedIn: text) }
            #expect(error?.code == .invalidSeed)
            #expect(error?.message.contains(key.seed.dropLast()) == false)
        }
    }

    @Test("credentials files")
    func credentials() throws {
        let key = NKey()
        let text = """
            -----BEGIN NATS USER JWT-----
            eyJ0eXAi.abc.def
            ------END NATS USER JWT------

            ************************* IMPORTANT *************************
            -----BEGIN USER NKEY SEED-----
            \(key.seed)
            ------END USER NKEY SEED------
            """
        let file = try CredentialsFile(text: text, name: "test")
        #expect(file.jwt == "eyJ0eXAi.abc.def")
        #expect(file.key.publicKey == key.publicKey)
        for read in [
            { try CredentialsFile(text: "nothing", name: "test") }, { try CredentialsFile(path: "/does/not/exist") },
        ] {
            let error = #expect(throws: NKeyError.self) { try read() }
            #expect(error?.code == .invalidCredentials)
        }
    }

    @Test("public keys are read and checked")
    func publicKeys() throws {
        let key = NKey()
        let publicKey = try NKeyPublicKey(key.publicKey)
        let signature = try key.sign([1, 2, 3])
        #expect(publicKey.isValidSignature(signature, for: [1, 2, 3]))
        #expect(!publicKey.isValidSignature(signature, for: [1, 2, 4]))
        #expect(!publicKey.isValidSignature([], for: [1, 2, 3]))
        #expect(throws: NKeyError.self) { try NKeyPublicKey("") }
        #expect(throws: NKeyError.self) { try NKeyPublicKey(key.seed) }
        #expect(throws: NKeyError.self) { try NKeyPublicKey(key.publicKey.lowercased()) }
    }

    @Test("an error about a public key does not repeat a seed, and escapes what could harm a terminal")
    func harmlessErrors() {
        let seed = NKey().seed
        for text in [seed, "\u{1B}[31mU", "U\u{202E}"] {
            let error = #expect(throws: NKeyError.self) { try NKeyPublicKey(text) }
            #expect(error?.code == .invalidPublicKey)
            let message = error?.message ?? ""
            #expect(!message.contains(seed) && !message.contains("\u{1B}") && !message.contains("\u{202E}"))
        }
    }

    @Test("base32 as RFC 4648 has it, without padding")
    func base32() {
        let vectors = [
            ("", ""), ("f", "MY"), ("fo", "MZXQ"), ("foo", "MZXW6"), ("foob", "MZXW6YQ"), ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ]
        for (text, encoded) in vectors {
            #expect(Base32.encode(text.utf8) == encoded)
            #expect(Base32.decode(encoded) == Array(text.utf8))
        }
        for wrong in ["my", "M=", "M1", "é"] { #expect(Base32.decode(wrong) == nil) }
    }

    @Test("the checksum is CRC-16/XMODEM")
    func checksum() {
        #expect(NKey.checksum("123456789".utf8) == 0x31C3)
        #expect(NKey.checksum([] as [UInt8]) == 0)
    }
}
