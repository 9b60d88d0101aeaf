import Foundation
import LocalNATSServer
import MeshAuth
import MeshEvents
import MeshEventsNATS
import NATSClient
import NKeys
import TestSupport
import Testing

@Suite struct AuthDirectoryTests {
    private func mode(_ path: String) throws -> Int {
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        return try #require(attributes[.posixPermissions] as? Int)
    }

    @Test func whatIsSecretIsForItsOwnerOnly() throws {
        let temporary = try TemporaryDirectory()
        let directory = try AuthDirectory.create(at: "\(temporary.path)/a/auth")
        #expect(try mode(directory.path) == 0o700)
        let names = try FileManager.default.contentsOfDirectory(atPath: directory.path).sorted()
        #expect(
            names == [
                "access.conf", "admin.nk", "ca.key", "ca.pem", "mesh-auth.json", "nats-server.conf", "node.nk",
                "observer.nk", "operator.nk", "server.key", "server.pem", "tool.nk", "tool.password",
            ]
        )
        for name in names {
            #expect(try mode("\(directory.path)/\(name)") == (name.hasSuffix(".pem") ? 0o644 : 0o600), "\(name)")
        }
        // No secret but in the files that are for it.
        let secrets = try ["admin.nk", "node.nk", "tool.nk", "observer.nk", "operator.nk"].map {
            try String(contentsOfFile: "\(directory.path)/\($0)", encoding: .utf8).trimmingCharacters(in: .newlines)
        }
        let password = try #require(directory.password(of: "tool"))
        #expect(password.utf8.count == 32 && directory.serverAccess.contains(password))
        for name in ["mesh-auth.json", "nats-server.conf", "ca.pem", "server.pem"] {
            #expect(try !String(contentsOfFile: "\(directory.path)/\(name)", encoding: .utf8).contains(password))
        }
        for name in ["access.conf", "mesh-auth.json", "nats-server.conf", "ca.pem", "server.pem"] {
            let text = try String(contentsOfFile: "\(directory.path)/\(name)", encoding: .utf8)
            #expect(!secrets.contains { text.contains($0) })
            #expect(!text.contains("PRIVATE KEY"))
        }
        for (role, secret) in zip([MeshRole.admin, .node, .tool, .observer, .operator], secrets) {
            #expect(try NKey(seed: secret).publicKey == directory.user(role)?.publicKey)
        }
    }

    @Test("a directory that is there becomes private when it is empty and ours, else it is refused")
    func existingDirectory() throws {
        let temporary = try TemporaryDirectory()
        func make(_ name: String, _ mode: Int) throws -> String {
            let path = "\(temporary.path)/\(name)"
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
            try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
            return path
        }
        for open in [0o755, 0o777, 0o710] {
            let directory = try AuthDirectory.create(at: make("empty-\(open)", open))
            #expect(try mode(directory.path) == 0o700, "\(String(open, radix: 8))")
        }
        let used = try make("used", 0o755)
        try Data("mine".utf8).write(to: URL(fileURLWithPath: used + "/notes"))
        let refused = #expect(throws: MeshAuthError.self) { try AuthDirectory.create(at: used) }
        #expect(refused?.code == .fileAccess, "\(refused as Any)")
        #expect(refused?.message.contains("has files in it") == true, "\(refused as Any)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: used) == ["notes"])
        #expect(try mode(used) == 0o755)
        // Files of ours that only we may reach do no harm.
        try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: used)
        _ = try AuthDirectory.create(at: used)
        let file = "\(temporary.path)/file"
        try Data().write(to: URL(fileURLWithPath: file))
        #expect(throws: MeshAuthError.self) { try AuthDirectory.create(at: file) }
    }

    @Test("a directory of another user is refused")
    func foreignDirectory() throws {
        // Any that is not ours: those of the system, or as root one given away.
        let temporary = try TemporaryDirectory()
        var path = "/"
        if geteuid() == 0 {
            path = "\(temporary.path)/given"
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
            #expect(chown(path, 65_534, 65_534) == 0)
        }
        let refused = #expect(throws: MeshAuthError.self) { try AuthDirectory.create(at: path) }
        #expect(refused?.message.contains("belongs to another user") == true, "\(refused as Any)")
    }

    @Test func itIsTheSameWhenOpenedAgain() throws {
        let temporary = try TemporaryDirectory()
        var directory = try AuthDirectory.create(
            at: temporary.path + "/auth",
            hosts: ["mesh.local", "10.0.0.7", "fe80::1"]
        )
        try directory.add("alice", role: .observer)
        let again = try AuthDirectory.open(at: directory.path)
        #expect(again.users == directory.users)
        #expect(again.users.map(\.name) == ["admin", "alice", "node", "observer", "operator", "tool"])
        #expect(again.hosts == ["localhost", "127.0.0.1", "::1", "mesh.local", "10.0.0.7", "fe80::1"])
        #expect(again.serverAccess == directory.serverAccess)
        #expect(again.user(.observer)?.name == "observer")
        let days = try #require(again.certificateEnd).timeIntervalSinceNow / 86_400
        #expect((396...397.01).contains(days))
    }

    @Test func mistakesAreNamedAndChangeNothing() throws {
        let temporary = try TemporaryDirectory()
        let path = temporary.path + "/auth"
        #expect(throws: MeshAuthError.self) { try AuthDirectory.create(at: path, hosts: ["a b"]) }
        #expect(throws: MeshAuthError.self) { try AuthDirectory.create(at: path, hosts: ["mesh.local:4222"]) }
        #expect(!FileManager.default.fileExists(atPath: path))
        let missing = #expect(throws: MeshAuthError.self) { try AuthDirectory.open(at: path) }
        #expect(missing?.code == .notFound)
        var directory = try AuthDirectory.create(at: path)
        let twice = #expect(throws: MeshAuthError.self) { try AuthDirectory.create(at: path) }
        #expect(twice?.code == .alreadyExists)
        #expect(throws: MeshAuthError.self) { try directory.add("tool", role: .admin) }
        #expect(throws: MeshAuthError.self) { try directory.add("../tool", role: .admin) }
        #expect(throws: MeshAuthError.self) { try directory.remove("nobody") }
        #expect(try AuthDirectory.open(at: path).users == directory.users)
        #expect(directory.users.count == 5)
        try directory.remove("tool")
        for file in [directory.seedFile(of: "tool"), directory.passwordFile(of: "tool")] {
            #expect(!FileManager.default.fileExists(atPath: file))
        }
        #expect(directory.user(.tool) == nil)
        #expect(!directory.serverAccess.contains("# tool:"))
        try "{}".write(toFile: path + "/mesh-auth.json", atomically: true, encoding: .utf8)
        let damaged = #expect(throws: MeshAuthError.self) { try AuthDirectory.open(at: path) }
        #expect(damaged?.code == .invalidFile)
    }

    @Test func toolsTrustTheSystemsAuthoritiesToo() throws {
        let temporary = try TemporaryDirectory()
        let other = try AuthDirectory.create(at: temporary.path + "/other")
        let directory = try AuthDirectory.create(at: temporary.path + "/auth")
        let bundle = try directory.writeTrustBundle(systemFile: other.authorityFile)
        let text = try String(contentsOfFile: bundle, encoding: .utf8)
        for file in [directory.authorityFile, other.authorityFile] {
            #expect(try text.contains(String(contentsOfFile: file, encoding: .utf8)))
        }
        #expect(try mode(bundle) == 0o644)
        _ = try directory.writeTrustBundle(systemFile: "/no/such.pem")
        #expect(
            try String(contentsOfFile: bundle, encoding: .utf8)
                == String(contentsOfFile: directory.authorityFile, encoding: .utf8)
        )
    }

    @Test func aPasswordIsMadeOnceAndOnlyForWhoIsToHaveOne() throws {
        let temporary = try TemporaryDirectory()
        var directory = try AuthDirectory.create(at: temporary.path + "/auth")
        try directory.add("garden", role: .tool, password: true)
        try directory.add("alice", role: .observer)
        let first = try #require(directory.password(of: "garden"))
        #expect(first != directory.password(of: "tool") && directory.password(of: "alice") == nil)
        try directory.allow("garden", password: true)
        #expect(try AuthDirectory.open(at: directory.path).password(of: "garden") == first)
        try directory.allow("alice", password: true)
        #expect(directory.password(of: "alice") != nil)
    }

    @Test(arguments: NATSServers.all)
    func aRenewedCertificateIsTakenByTheSameClients(binary: NATSServers.Binary) async throws {
        try await SecuredMesh.with(binary) { mesh in
            var directory = mesh.directory
            let before = try String(contentsOfFile: directory.path + "/server.pem", encoding: .utf8)
            let authority = try String(contentsOfFile: directory.authorityFile, encoding: .utf8)
            try directory.renew(adding: ["mesh.example"])
            #expect(try String(contentsOfFile: directory.path + "/server.pem", encoding: .utf8) != before)
            #expect(try String(contentsOfFile: directory.authorityFile, encoding: .utf8) == authority)
            try await mesh.server.restart()
            await (try mesh.connect("node")).close()
        }
    }

    @Test func theCertificateIsValidForItsHostsOnly() throws {
        let temporary = try TemporaryDirectory()
        var directory = try AuthDirectory.create(at: temporary.path + "/auth", hosts: ["mesh.local"])
        try directory.renew(adding: ["10.0.0.7"])
        func verifies(_ check: String...) throws -> Bool {
            let arguments = ["-CAfile", directory.authorityFile] + check + [directory.path + "/server.pem"]
            return try SpawnedProcess.outcome(of: "/usr/bin/env", ["openssl", "verify"] + arguments).code == 0
        }
        #expect(try verifies("-purpose", "sslserver", "-x509_strict"))
        for host in ["localhost", "mesh.local"] { #expect(try verifies("-verify_hostname", host)) }
        for address in ["127.0.0.1", "::1", "10.0.0.7"] { #expect(try verifies("-verify_ip", address)) }
        #expect(try !verifies("-verify_hostname", "other.local"))
        #expect(try !verifies("-verify_ip", "10.0.0.8"))
        #expect(try !verifies("-purpose", "sslclient"))
    }

    @Test func thePageHasACertificateOfItsOwnWhenItIsAskedFor() throws {
        let temporary = try TemporaryDirectory()
        var directory = try AuthDirectory.create(at: temporary.path + "/auth", hosts: ["mesh.local"])
        let (file, keyFile) = directory.pageCertificate
        #expect(directory.pageHosts.isEmpty && !FileManager.default.fileExists(atPath: file))
        // A renewal does not make one by itself.
        try directory.renew()
        #expect(!FileManager.default.fileExists(atPath: file))
        try directory.renew(pageHosts: ["page.local", "localhost"])
        #expect(directory.pageHosts == ["localhost", "127.0.0.1", "::1", "page.local"])
        #expect(try mode(keyFile) == 0o600 && mode(file) == 0o644)
        let first = try String(contentsOfFile: file, encoding: .utf8)
        func verifies(_ check: String...) throws -> Bool {
            let arguments = ["-CAfile", directory.authorityFile] + check + [file]
            return try SpawnedProcess.outcome(of: "/usr/bin/env", ["openssl", "verify"] + arguments).code == 0
        }
        #expect(try verifies("-purpose", "sslserver", "-x509_strict", "-verify_hostname", "page.local"))
        #expect(try !verifies("-verify_hostname", "mesh.local"), "that is the server's")
        directory = try AuthDirectory.open(at: directory.path)
        try directory.renew()
        #expect(
            try String(contentsOfFile: file, encoding: .utf8) != first && verifies("-verify_hostname", "page.local")
        )
        let wrong = #expect(throws: MeshAuthError.self) { try directory.renew(pageHosts: ["a b"]) }
        #expect(wrong?.code == .invalidName)
        let other = try AuthDirectory.create(at: temporary.path + "/other", pageHosts: [])
        #expect(other.pageHosts == AuthDirectory.standardHosts)
        #expect(FileManager.default.fileExists(atPath: other.pageCertificate.file))
    }

    @Test func aTokenForThePageIsMadeOnceAndOnlyForPeople() throws {
        let temporary = try TemporaryDirectory()
        var directory = try AuthDirectory.create(at: temporary.path + "/auth")
        #expect(!FileManager.default.fileExists(atPath: directory.pageUsersFile))
        try directory.add("alice", role: .observer, page: true)
        let file = directory.pageTokenFile(of: "alice")
        let token = try String(contentsOfFile: file, encoding: .utf8)
        #expect(try mode(file) == 0o600 && mode(directory.pageUsersFile) == 0o600)
        try directory.allow("alice", page: true)
        #expect(try String(contentsOfFile: file, encoding: .utf8) == token)
        try directory.allow("operator", page: true)
        for file in ["page.users", "mesh-auth.json", "access.conf"] {
            let text = try String(contentsOfFile: "\(directory.path)/\(file)", encoding: .utf8)
            #expect(!text.contains(token.trimmingCharacters(in: .newlines)), "\(file)")
        }
        for role in [MeshRole.tool, .node] {
            let error = #expect(throws: MeshAuthError.self) { try directory.add("x", role: role, page: true) }
            #expect(error?.message.contains("observer, operator or admin") == true)
            #expect(throws: MeshAuthError.self) { try directory.allow(role.rawValue, page: true) }
        }
        directory = try AuthDirectory.open(at: directory.path)
        #expect(directory.isPageUser("alice") && directory.isPageUser("operator") && !directory.isPageUser("observer"))
        try directory.remove("alice")
        #expect(!directory.isPageUser("alice") && !FileManager.default.fileExists(atPath: file))
        #expect(try !String(contentsOfFile: directory.pageUsersFile, encoding: .utf8).contains("alice"))
    }

    @Test(arguments: NATSServers.all)
    func theWrittenConfigurationIsOneAServerAccepts(binary: NATSServers.Binary) throws {
        let temporary = try TemporaryDirectory()
        let directory = try AuthDirectory.create(at: temporary.path + "/with \"quotes\" and spaces")
        let (code, text) = try SpawnedProcess.outcome(of: binary.path, ["-t", "-c", directory.serverFile])
        #expect(code == 0, "\(text)")
    }
}
