import MeshEvents
import NIOCore
import NIOHTTP1
import TestSupport
import Testing

@testable import MeshDashboard

/// Answers in gzip: what they hold, who gets them, and what is never compressed.
@Suite struct CompressionTests {
    private static let gzip = [("accept-encoding", "br, gzip;q=0.8")]

    @Test(arguments: [
        ("gzip", true), ("GZIP", true), ("x-gzip", true), ("br, gzip", true), ("gzip;q=0", false),
        ("gzip ; q=0.000", false), ("gzip;q=x", false), ("gzip;q=-1", false), ("gzip;q=nan", false), ("*", true),
        ("*;q=0", false), ("gzip;q=0, *", false), ("*;q=0, gzip", true), ("identity", false), ("br", false),
        ("", false),
        ("gzipped", false), (String(repeating: "a,", count: 1_000) + "gzip", false),
    ])
    func acceptedEncodings(field: String, isTaken: Bool) {
        #expect(AcceptedEncoding.takesGzip([field]) == isTaken)
    }

    @Test func severalFieldsCountAsOne() {
        #expect(AcceptedEncoding.takesGzip(["br", "gzip"]))
        #expect(!AcceptedEncoding.takesGzip([]))
    }

    @Test func whatGetsNoShorterIsNotCompressed() {
        #expect(Gzip.compressed(ByteBuffer()) == nil)
        #expect(Gzip.compressed(ByteBuffer(bytes: [1, 2, 3])) == nil)
        var generator = SystemRandomNumberGenerator()
        let noise = (0..<10_000).map { _ in UInt8.random(in: 0...255, using: &generator) }
        #expect(Gzip.compressed(ByteBuffer(bytes: noise)) == nil)
    }

    @Test func thePagesFilesAreTheSameWhenDecompressed() async throws {
        try await Bench.run { bench in
            for path in ["/", "/main.js", "/page.css", "/icon.svg", "/dom.js", "/api/openapi.json"] {
                let plain = try await bench.client.get(path)
                #expect(plain.headers.first(name: "content-encoding") == nil)
                #expect(plain.headers.first(name: "vary") == "Accept-Encoding", "\(path)")
                let packed = try await bench.client.get(path, Self.gzip)
                #expect(packed.status == 200 && packed.headers.first(name: "vary") == "Accept-Encoding")
                #expect(packed.headers.first(name: "content-type") == plain.headers.first(name: "content-type"))
                guard packed.headers.first(name: "content-encoding") == "gzip" else {
                    // The icon is small.
                    #expect(path == "/icon.svg" && packed.bytes == plain.bytes)
                    continue
                }
                #expect(packed.bytes.count < plain.bytes.count)
                #expect(try await Shell.decompressed(packed.bytes) == plain.text, "\(path)")
                // A tag names certain bytes.
                let tags = try [plain, packed].map { try #require($0.headers.first(name: "etag")) }
                #expect(tags[0] != tags[1])
                for (tag, headers, status) in [
                    (tags[0], [], 304), (tags[1], Self.gzip, 304), (tags[0], Self.gzip, 200), (tags[1], [], 200),
                    ("W/" + tags[1], Self.gzip, 304), ("\"x\", " + tags[1], Self.gzip, 304), ("*", [], 304),
                    (String(tags[0].dropLast()), [], 200),
                ] as [(String, [(String, String)], UInt)] {
                    let answer = try await bench.client.get(path, headers + [("if-none-match", tag)])
                    #expect(answer.status == status, "\(path) \(tag) \(headers)")
                    #expect(answer.headers.first(name: "etag") == (headers.isEmpty ? tags[0] : tags[1]))
                    if status == 304 { #expect(answer.bytes.isEmpty) }
                }
            }
        }
    }

    @Test func answersInJSONAreCompressedWhenTheyAreLong() async throws {
        try await Bench.run { bench in
            try await bench.emit(0..<200)
            let plain = try await bench.client.get("/api/events")
            let packed = try await bench.client.get("/api/events", Self.gzip)
            #expect(packed.headers.first(name: "content-encoding") == "gzip")
            #expect(packed.bytes.count < plain.bytes.count / 4)
            #expect(packed.headers.first(name: "content-length") == "\(packed.bytes.count)")
            #expect(try await Shell.decompressed(packed.bytes) == plain.text)
            let short = try await bench.client.get("/api/events?limit=1", Self.gzip)
            #expect(short.headers.first(name: "content-encoding") == nil)
            for answer in [plain, packed, short] { #expect(answer.headers.first(name: "vary") == "Accept-Encoding") }
        }
    }

    @Test func anAnswerInPartsIsCompressedWhole() async throws {
        try await Bench.run { bench in
            for number in 0..<40 {
                try await bench.bus.emit(
                    "user.long",
                    ["n": .init(number), "text": .string(String(repeating: "long \(number) ", count: 1_000))]
                )
            }
            let plain = try await bench.client.get("/api/events")
            #expect(plain.bytes.count > 200_000)
            let packed = try await bench.client.get("/api/events", Self.gzip)
            #expect(try await Shell.decompressed(packed.bytes) == plain.text)
        }
    }

    @Test func headIsAnsweredAsGetWithoutABody() async throws {
        try await Bench.run { bench in
            try await bench.emit(0..<200)
            for path in ["/main.js", "/api/events", "/api/openapi.json"] {
                for headers in [[], Self.gzip] {
                    let get = try await bench.client.get(path, headers)
                    let head = try await bench.client.send(.HEAD, path, headers)
                    #expect(head.status == 200 && head.bytes.isEmpty)
                    for name in ["content-length", "content-encoding", "vary", "etag", "content-type"] {
                        #expect(head.headers.first(name: name) == get.headers.first(name: name), "\(path) \(name)")
                    }
                }
            }
        }
    }

    @Test("an answer about a session, which may hold its key, is never compressed, and neither is the stream")
    func secretsAndStreams() async throws {
        try await Bench.run(.init(token: Bench.token)) { bench in
            let json = Self.gzip + [("content-type", "application/json")]
            let answers = [
                try await bench.client.get("/api/session", Self.gzip),
                try await bench.client.send(.POST, "/api/session", json, body: #"{"token":"\#(Bench.token)"}"#),
                try await bench.client.send(.DELETE, "/api/session", json),
            ]
            for answer in answers {
                #expect(answer.status == 200 && answer.headers.first(name: "content-encoding") == nil)
                #expect(answer.headers.first(name: "vary") == nil)
            }
            // Every route with a body for a session is among those that are left out.
            let routes = bench.dashboard.routeList.filter { $0.template == "/api/session" }
            #expect(Set(routes) == AccessPolicy.secretRoutes)
            let allowed = Self.gzip + [("authorization", "Bearer \(Bench.token)")]
            try await bench.client.listen("/api/stream", allowed) { reader in
                _ = try await reader.next("hello")
            }
        }
    }

    @Test func metricsAreCompressedForWhoAsks() async throws {
        try await Bench.run { bench in
            let packed = try await bench.client.get("/metrics", Self.gzip)
            #expect(packed.status == 200 && packed.headers.first(name: "content-encoding") == "gzip")
            #expect(packed.headers.first(name: "vary")?.contains("Accept-Encoding") == true)
            #expect(try await Shell.decompressed(packed.bytes).contains("# TYPE "))
            let plain = try await bench.client.get("/metrics")
            #expect(plain.headers.first(name: "content-encoding") == nil && plain.text.contains("# TYPE "))
        }
    }
}
