import Foundation
import MeshAuth
import MeshConcurrency
import MeshEvents
import MeshEventsTesting
import NIOCore
import NIOHTTP1
import NIOPosix
import TestSupport
import Testing

@testable import MeshDashboard

#if TLS
    import NIOSSL

    /// The page over HTTPS: to whom it speaks, what it holds on to, and certificates that change.
    @Suite struct HTTPSTests {
        private static func bench(
            _ certificates: Certificates,
            _ configuration: Dashboard.Configuration = .init(),
            times: ConnectionTimer.Limits = .init(),
            _ body: @Sendable (Bench) async throws -> Void
        ) async throws {
            var configuration = configuration
            configuration.certificate = try certificate(certificates)
            try await Bench.run(configuration, times: times, authority: certificates.ca, body)
        }

        private static func certificate(_ certificates: Certificates) throws -> ServerCertificate {
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: certificates.serverKey)
            return try ServerCertificate(file: certificates.server, keyFile: certificates.serverKey)
        }

        /// Shakes hands by a range of versions.
        ///
        /// - Returns: the version; `nil` when the other side refuses.
        private static func handshake(
            _ port: Int,
            _ authority: String,
            _ versions: ClosedRange<Int>
        ) async throws -> Bool {
            let known: [TLSVersion] = [.tlsv1, .tlsv11, .tlsv12, .tlsv13]
            var configuration = TLSConfiguration.makeClientConfiguration()
            configuration.trustRoots = .file(authority)
            configuration.minimumTLSVersion = known[versions.lowerBound]
            configuration.maximumTLSVersion = known[versions.upperBound]
            let context = try NIOSSLContext(configuration: configuration)
            let answer = try await withDeadline(.seconds(30), "the end of a handshake") {
                let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                    .connect(host: "127.0.0.1", port: port) { channel in
                        channel.eventLoop.makeCompletedFuture {
                            try channel.pipeline.syncOperations.addHandler(
                                NIOSSLClientHandler(context: context, serverHostname: nil)
                            )
                            return try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                        }
                    }
                return try? await channel.executeThenClose { inbound, outbound in
                    try await outbound.write(
                        ByteBuffer(string: "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\n\r\n")
                    )
                    for try await part in inbound { return String(buffer: part) }
                    return ""
                }
            }
            return answer?.hasPrefix("HTTP/1.1 200") == true
        }

        @Test func thePageIsServedAndItsCookieIsForHTTPSAlone() async throws {
            try await Self.bench(try await .make(), .init(token: Bench.token)) { bench in
                #expect(try await bench.dashboard.url().hasPrefix("https://127.0.0.1:"))
                let json = [("content-type", "application/json")]
                let body = #"{"token":"\#(Bench.token)"}"#
                let answer = try await bench.client.send(.POST, "/api/session", json, body: body)
                let cookie = try #require(answer.headers.first(name: "set-cookie"))
                #expect(cookie.hasPrefix("__Host-mesh_events_\(bench.client.port)="))
                #expect(cookie.contains("Secure") && cookie.contains("HttpOnly") && cookie.contains("Path=/"))
                #expect(!cookie.contains("Domain"))
                // It would hold for all ports of the host, which others serve.
                #expect(answer.headers.first(name: "strict-transport-security") == nil)
                let session = try await bench.logIn()
                #expect(try await bench.client.get("/api/mesh", session).status == 200)
                // The page of port 80 of the same name is another server's.
                let origins: [(String, UInt)] = [
                    ("https://127.0.0.1:\(bench.client.port)", 200), ("http://127.0.0.1:\(bench.client.port)", 403),
                ]
                for (origin, status) in origins {
                    let answer = try await bench.client.get("/api/mesh", session + [("origin", origin)])
                    #expect(answer.status == status, "\(origin)")
                }
                // A stream goes on, and a large answer arrives.
                for number in 0..<40 {
                    let text = String(repeating: "long \(number) ", count: 1_500)
                    try await bench.bus.emit("user.long", ["text": .string(text)])
                }
                let page = try await bench.client.get("/api/events", session)
                #expect(page.status == 200 && page.bytes.count > 300_000)
                try await bench.client.listen("/api/stream", session) { reader in
                    _ = try await reader.next("position")
                    try await bench.emit(7..<8)
                    #expect(try await reader.numbers(1) == [7])
                }
                _ = try await bench.client.send(.DELETE, "/api/session", session)
                #expect(try await bench.client.get("/api/mesh", session).status == 401)
            }
        }

        @Test func onlyTLSFrom12OnIsSpoken() async throws {
            let certificates = try await Certificates.make()
            try await Self.bench(certificates) { bench in
                let port = bench.client.port
                let spoken = [
                    try await Self.handshake(port, certificates.ca, 0...0),
                    try await Self.handshake(port, certificates.ca, 0...1),
                    try await Self.handshake(port, certificates.ca, 2...2),
                    try await Self.handshake(port, certificates.ca, 3...3),
                    try await Self.handshake(port, certificates.otherCA, 2...3),
                ]
                #expect(spoken == [false, false, true, true, false])
            }
        }

        @Test func curlAndOpenSSLSpeakWithAPageOfAuth() async throws {
            let temporary = try TemporaryDirectory()
            let directory = try AuthDirectory.create(at: temporary.path + "/auth", pageHosts: ["mesh.test"])
            let (file, keyFile) = directory.pageCertificate
            let certificate = try ServerCertificate(file: file, keyFile: keyFile)
            let authority = directory.authorityFile
            #expect(certificate.end > .now)
            try await Bench.run(.init(certificate: certificate, hostNames: ["mesh.test"]), authority: authority) {
                bench in
                let port = bench.client.port
                let plain = try await bench.client.get("/main.js")
                for options in ["--tlsv1.2 --tls-max 1.2", "--tlsv1.3", "--compressed", "--http1.1"] {
                    for host in ["127.0.0.1", "localhost", "mesh.test"] {
                        let (code, text) = try await Shell.run(
                            """
                            curl -sS --max-time 60 --noproxy '*' --cacert "$CA" --resolve 'mesh.test:\(port):127.0.0.1' \
                            --resolve 'localhost:\(port):127.0.0.1' \(options) https://\(host):\(port)/main.js
                            """,
                            ["CA": authority]
                        )
                        #expect(code == 0 && text == plain.text, "\(options) \(host): \(code) \(text.prefix(200))")
                    }
                }
                let (code, text) = try await Shell.run(
                    "openssl s_client -connect 127.0.0.1:\(port) -CAfile \"$CA\" -verify_return_error -alpn h2,http/1.1 "
                        + "</dev/null",
                    ["CA": authority]
                )
                #expect(code == 0 && text.contains("Verify return code: 0 (ok)"), "\(text)")
                #expect(text.contains("ALPN protocol: http/1.1"), "\(text)")
            }
        }

        @Test func whoSpeaksHTTPIsToldSo() async throws {
            try await Self.bench(try await .make(), .init(token: Bench.token)) { bench in
                let raw = RawClient(port: bench.client.port)
                for text in ["GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "G", "POST /api/session HTTP/1.0\r\n\r\n"] {
                    let answer = try await raw.send(text)
                    #expect(answer.status == 400 && answer.body.contains("https://"), "\(answer.text)")
                    #expect(answer.count == 1)
                }
                for text in ["\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}", "\u{16}\u{3}\u{1}\u{0}\u{4}xxxx", "ssh-2.0\r\n"] {
                    // Closed, by an alert or nothing, but answered no request.
                    #expect(try await !raw.send(text).text.contains("HTTP/1.1"))
                }
                #expect(try await bench.client.get("/healthz").status == 200)
                try await eventually("their connections to end") { bench.dashboard.connectionCount == 0 }
            }
        }

        @Test func aHandshakeThatHangsIsEndedInTime() async throws {
            let times = ConnectionTimer.Limits(head: .seconds(5))
            try await Self.bench(try await .make(), times: times) { bench in
                var held: [HeldConnection] = []
                // Nothing; the beginning of a record; a record that promises more.
                for text in ["", "\u{16}", "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}"] {
                    held.append(try await HeldConnection(port: bench.client.port, sending: text))
                }
                try await eventually("them to be closed") { held.allSatisfy { !$0.isActive } }
                try await eventually("them to be forgotten") { bench.dashboard.connectionCount == 0 }
            }
        }

        @Test func handshakesThatHangKeepNoOtherClientOut() async throws {
            try await Self.bench(try await .make(), .init(token: Bench.token)) { bench in
                let largest = ConnectionTable.Limits().strangersPerAddress
                var held: [HeldConnection] = []
                for _ in 0..<largest + 30 {
                    held.append(
                        try await HeldConnection(port: bench.client.port, sending: "\u{16}\u{3}\u{1}\u{2}\u{0}")
                    )
                    #expect(bench.dashboard.connectionCount <= largest + 1)
                }
                #expect(try await bench.client.get("/healthz").status == 200)
                let session = try await bench.logIn()
                #expect(try await bench.client.get("/api/mesh", session).status == 200)
                #expect(held.contains { $0.isActive })
            }
        }

        // MARK: Files

        /// Two files that are replaced as certbot does it: by others, under the same names.
        private struct Files {
            let directory: TemporaryDirectory
            var certificate: String { directory.path + "/fullchain.pem" }
            var key: String { directory.path + "/privkey.pem" }

            func put(certificate certificates: Certificates) throws { try put(certificates.server, certificate) }

            func put(key certificates: Certificates) throws { try put(certificates.serverKey, key) }

            private func put(_ source: String, _ target: String) throws {
                let text = try String(contentsOfFile: source, encoding: .utf8)
                let file = try directory.file("new-\(UUID().uuidString)", text, mode: 0o600)
                _ = rename(file, target)
            }
        }

        @Test func aRenewedCertificateIsUsedWithoutARestart() async throws {
            let (first, second) = (try await Certificates.make(), try await Certificates.make(days: 9))
            let files = Files(directory: try TemporaryDirectory())
            try files.put(certificate: first)
            try files.put(key: first)
            let told = Locked<[Result<Timestamp, MeshEventsError>]>([])
            let certificate = try ServerCertificate(
                file: files.certificate,
                keyFile: files.key,
                interval: .milliseconds(50)
            ) { outcome in told.withLock { $0.append(outcome) } }
            let end = certificate.end
            let running = Task { await certificate.run() }
            defer { running.cancel() }
            try await Bench.run(.init(certificate: certificate), authority: first.ca) { bench in
                let renewed = HTTPClient(port: bench.client.port, authority: second.ca)
                try await bench.client.listen { reader in
                    _ = try await reader.next("position")
                    try files.put(certificate: second)
                    // The key is still the former one: nothing changes, and it is said once.
                    try await eventually("it to be told") { told.withLock { !$0.isEmpty } }
                    #expect(try await bench.client.get("/healthz").status == 200)
                    try files.put(key: second)
                    try await eventually("the new certificate") { (try? await renewed.get("/healthz").status) == 200 }
                    await #expect(throws: (any Error).self) { try await bench.client.get("/healthz") }
                    // A connection that is open goes on.
                    try await bench.emit(3..<4)
                    #expect(try await reader.numbers(1) == [3])
                }
                #expect(certificate.end > end)
                try await eventually("both to be told") { told.withLock { $0.count >= 2 } }
                let outcomes = told.withLock { $0 }
                #expect(outcomes.count == 2)
                if case .failure(let error) = outcomes[0] {
                    #expect(error.message.contains("is not that of the certificate"), "\(error)")
                } else {
                    Issue.record("a key of another certificate was taken")
                }
                #expect(try outcomes[1].get() == certificate.end)
                // And at once, when it is told to.
                try files.put(certificate: first)
                #expect(throws: MeshEventsError.self) { try certificate.reload() }
                #expect(try await renewed.get("/healthz").status == 200)
                try files.put(key: first)
                try certificate.reload()
                #expect(try await bench.client.get("/healthz").status == 200)
            }
        }

        @Test func mistakesInTheFilesAreNamed() async throws {
            let (one, other) = (try await Certificates.make(), try await Certificates.make())
            let temporary = try TemporaryDirectory()
            for key in [one.serverKey, other.serverKey, one.clientKey] {
                try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: key)
            }
            let open = try temporary.file(
                "open.key",
                String(contentsOfFile: one.serverKey, encoding: .utf8),
                mode: 0o644
            )
            let empty = try temporary.file("empty.pem", "", mode: 0o600)
            let text = try temporary.file("text.pem", "not a certificate", mode: 0o600)
            let locked = temporary.path + "/locked.key"
            let (code, said) = try await Shell.run(
                "umask 077; openssl pkey -in \"$KEY\" -aes256 -passout pass:secret -out \"$OUT\"",
                ["KEY": one.serverKey, "OUT": locked]
            )
            #expect(code == 0, "\(said)")
            for (file, key, reasons) in [
                ("/nowhere/cert.pem", one.serverKey, ["/nowhere/cert.pem", "does not exist"]),
                (one.server, "/nowhere/key.pem", ["/nowhere/key.pem", "cannot be read"]),
                (temporary.path, one.serverKey, [temporary.path, "a directory"]),
                (empty, one.serverKey, [empty, "holds no certificate in PEM", "fullchain.pem"]),
                (text, one.serverKey, [text, "holds no certificate in PEM"]),
                (one.serverKey, one.server, ["holds no certificate"]),
                (one.server, open, [open, "chmod 600"]),
                (one.server, empty, [empty, "holds no private key"]),
                (one.server, locked, [locked, "passphrase", "openssl pkey"]),
                (one.server, other.serverKey, [one.server, other.serverKey, "is not that of the certificate"]),
            ] {
                let error = #expect(throws: MeshEventsError.self) { try ServerCertificate(file: file, keyFile: key) }
                #expect(error?.code == .invalidArgument)
                for reason in reasons { #expect(error?.message.contains(reason) == true, "\(error?.message ?? "")") }
            }
        }

        @Test func metricsAreServedOverHTTPSToo() async throws {
            let certificates = try await Certificates.make()
            let certificate = try Self.certificate(certificates)
            let source = MeshMetricsSource(store: InMemoryStore(), logger: quiet)
            let server = try MetricsServer(
                source,
                configuration: .init(port: 0, token: Bench.token, certificate: certificate),
                logger: quiet
            )
            let running = Task { try await server.run() }
            defer { running.cancel() }
            let url = try await server.url()
            #expect(url.hasPrefix("https://127.0.0.1:"))
            let port = try #require(url.firstMatch(of: #/:(\d+)\//#).flatMap { Int($0.1) })
            let client = HTTPClient(port: port, authority: certificates.ca)
            #expect(try await client.get("/metrics").status == 401)
            let answer = try await client.get("/metrics", [("authorization", "Bearer \(Bench.token)")])
            #expect(answer.status == 200 && answer.text.contains("# TYPE "))
        }
    }
#else
    /// The page without the trait TLS.
    @Suite struct HTTPSTests {
        @Test func httpsIsRefusedWithTheReason() throws {
            let error = #expect(throws: MeshEventsError.self) { try ServerCertificate(file: "a", keyFile: "b") }
            #expect(error?.message.contains("trait TLS") == true)
        }
    }
#endif
