import FileReading
import Foundation
import MeshEvents
import MeshEventsSigning
import MeshSupervision
import MeshToolSDK
import TestSupport
import Testing

/// Manifests that are nonsense, or meant to do harm: each is refused in bounded time and memory with words that say what to
/// do, or does no harm.
@Suite("Abuse of mesh.yaml", .timeLimit(.minutes(2)))
struct ManifestAbuseTests {
    struct Act: Sendable, CustomTestStringConvertible {
        let name: String
        let text: @Sendable () -> String
        /// What the first mistake says; `nil` when it is read.
        let expected: String?
        var testDescription: String { name }

        init(_ name: String, _ text: @autoclosure @escaping @Sendable () -> String, _ expected: String?) {
            (self.name, self.text, self.expected) = (name, text, expected)
        }
    }

    private static let head = "tools:\n  - name: a\n    version: v1\n    command: [a]\n"

    private static func laughs(_ open: String, _ close: String, item: (String) -> String) -> String {
        var text = "a: &a \(open)x: 1\(close)\n"
        for (one, two) in zip("abcdefgh", "bcdefghi") {
            text +=
                "\(two): &\(two) \(open)\((0..<9).map { "k\($0): \(item(String(one)))" }.joined(separator: ", "))\(close)\n"
        }
        return text
    }

    static let acts: [Act] = [
        Act(
            "a billion laughs in lists",
            "a: &a [x,x,x,x]\n" + (0..<12).map { _ in "b: [*a,*a,*a,*a]\n" }.joined(),
            "more than 32 aliases"
        ),
        Act("a billion laughs in objects", laughs("{", "}") { "*\($0)" }, "more than 32 aliases"),
        Act(
            "few aliases, each of much",
            {
                var text =
                    head + "    config:\n      a: &a [\(Array(repeating: "x", count: 500).joined(separator: ","))]\n"
                for (one, two) in zip("abcd", "bcde") {
                    text += "      \(two): &\(two) [*\(one),*\(one),*\(one),*\(one),*\(one),*\(one),*\(one)]\n"
                }
                return text
            }(),
            "aliases expand to too many values"
        ),
        Act("an alias within itself", "a: &a [*a]\n" + head, nil),
        Act("a merge within itself", head + "    <<: &m {<<: *m}\n", nil),
        Act("10 MB", String(repeating: "# comment\n", count: 1 << 20), "larger than 1 MiB"),
        Act("nested 500 000 deep", "tools: " + String(repeating: "[", count: 500_000), nil),
        Act("objects nested 20 000 deep", "tools: " + String(repeating: "{a: ", count: 20_000), nil),
        Act(
            "a configuration nested 900 deep",
            head + "    config: {a: \(String(repeating: "[", count: 900))\(String(repeating: "]", count: 900))}\n",
            "nested deeper than 100 levels"
        ),
        Act("a key twice", "node: a\nnode: b\n", "given more than once"),
        Act("a key twice, quoted once", "node: a\n\"node\": b\n", "given more than once"),
        Act("a key twice in a configuration", head + "    config: {a: 1, 'a': 2}\n", "given more than once"),
        Act("a tool twice", head + "  - {name: a, version: v1, command: [a]}\n", "a second tool named 'a'"),
        Act("control characters in a node's name", "node: \"a\\e[2J\"\n", "no control characters"),
        Act("a node's name without end", "node: \(String(repeating: "a", count: 10_000))\n", "at most 512 bytes"),
        Act(
            "control characters in a tool's name",
            "tools:\n  - {name: \"a\\e[2J\", version: v1, command: [a]}\n",
            "'a\\u{1b}[2J' is no tool's name"
        ),
        Act(
            "a tool's name that climbs",
            "tools:\n  - {name: ../../etc, version: v1, command: [a]}\n",
            "is no tool's name"
        ),
        Act("control characters in a key", "\"a\\e]0;owned\\a\": 1\n", "unknown key 'a\\u{1b}]0;owned\\u{7}'"),
        Act("a key without end", "\(String(repeating: "k", count: 1_000)): 1\n", "unknown key 'kkk"),
        Act("a zero byte in a command", "tools:\n  - {name: a, version: v1, command: [\"a\\0b\"]}\n", nil),
        Act("a variable within a variable", head + "    config: {a: \"${OUTER}\"}\n", nil),
        Act("a variable within a default", head + "    config: {a: \"${NONE:-${OUTER}}\"}\n", nil),
        Act(
            "a variable that is not there",
            head + "    config: {a: \"${NONE}\"}\n",
            "the environment variable NONE is not set"
        ),
        Act("a variable whose name is a command", head + "    config: {a: \"${$(reboot)}\"}\n", "names no variable"),
        Act(
            "a large variable a hundred thousand times",
            head + "    config: {a: \"\(String(repeating: "${BIG}", count: 100_000))\"}\n",
            "too large"
        ),
        Act(
            "a large variable behind aliases",
            head
                + "    config: {a: &a \"\(String(repeating: "${BIG}", count: 30))\", b: [\(Array(repeating: "*a", count: 30).joined(separator: ","))]}\n",
            "too large"
        ),
        Act(
            "100 000 tools",
            "tools:\n" + (0..<25_000).map { "  - {name: t\($0)}\n" }.joined(),
            "25000 tools; a manifest has at most 1000"
        ),
        Act("a mistake in each of 100 000 lines", (0..<100_000).map { "k\($0): 1\n" }.joined(), "unknown key 'k0'"),
        Act("a tag that makes objects", "node: !!python/object/apply:os.system [\"reboot\"]\n", "node must be text"),
        Act("several documents", "node: a\n---\nnode: b\n", "no valid YAML"),
        Act("a number beyond all", head + "    config: {a: 1e999999999}\n", nil),
        Act("a grace without end", head + "    grace: 99999999999999999999h\n", "grace must be"),
        Act(
            "a hundred instances of a large configuration",
            head + "    instances: 100\n    config: {a: \"\(String(repeating: "x", count: 500_000))\"}\n",
            "the instances make this manifest too large"
        ),
        Act(
            "a hundred instances each of a thousand tools",
            "tools:\n" + (0..<1_000).map { "  - {name: t\($0), command: [a], instances: 100}\n" }.joined(),
            "too many tools with all instances"
        ),
        Act(
            "a hundred thousand tools to be started after",
            head + "    after: [\(Array(repeating: "b", count: 100_000).joined(separator: ","))]\n",
            "after names 100000 tools"
        ),
        Act(
            "a thousand tools, each after all those before it",
            "x: &x [\((0..<999).map { "t\($0)" }.joined(separator: ","))]\ntools:\n"
                + (0..<999).map { "  - {name: t\($0), command: [a]}\n" }.joined()
                + "  - {name: last, command: [a], after: *x}\n",
            "unknown key 'x'"
        ),
        Act("processors beyond all", head + "    cpus: 0-9223372036854775807\n", "cpus must be numbers of processors"),
        Act("a size beyond all", head + "    memory: 9e99T\n", "memory must be a size"),
        Act("a limit that is no number", head + "    limits: {nofile: .inf}\n", "limits.nofile must be a number"),
        Act(
            "a schedule without end",
            head + "    schedule: \"\(String(repeating: "*,", count: 50_000))* * * * *\"\n",
            nil
        ),
        Act("control characters in a schedule", head + "    schedule: \"\\e[2J * * * *\"\n", "\\u{1b}[2J"),
        Act("a variable's name with =", head + "    env: {\"A=B\": c}\n", "no name of an environment variable"),
        Act("a name to inherit with =", head + "    inherit: [\"A=B\"]\n", "no name of an environment variable"),
        Act("publishing no list", head + "    publish: all\n", "publish must be a list"),
        Act("bytes that are no characters", "node: \"\u{FFFE}\"\n", nil),
        Act("nothing but white space", String(repeating: " \n", count: 100_000), "the manifest is empty"),
    ]

    private static let variables = [
        "OUTER": "${INNER}", "INNER": "s3cret", "BIG": String(repeating: "x", count: 100_000),
    ]

    @Test("nonsense and harm", arguments: acts)
    func held(act: Act) throws {
        let text = act.text()
        let start = ContinuousClock.now
        do {
            let manifest = try ToolManifest.parse(text, file: "mesh.yaml", variables: Self.variables)
            #expect(act.expected == nil)
            // A variable's value is not read again.
            for tool in manifest.tools { #expect(!tool.configuration.json.contains("s3cret")) }
            for tool in manifest.tools { try? tool.validate() }
        } catch {
            if let expected = act.expected { #expect(error.description.contains(expected), "\(error)") }
            #expect(error.problems.count <= 100 && error.description.utf8.count < 200_000)
            #expect(!error.description.unicodeScalars.contains { $0.value < 0x20 && $0 != "\n" || $0.value == 0x7F })
        }
        #expect(ContinuousClock.now - start < .seconds(30))
    }

    @Test("100 mistakes are told, and how many more there are") func mistakes() throws {
        let error = try #require(throws: ManifestError.self) {
            _ = try ToolManifest.parse((0..<1_000).map { "k\($0): 1\n" }.joined())
        }
        #expect(error.problems.count == 100 && error.omitted == 900)
        #expect(error.description.hasSuffix("mesh.yaml: and 900 more mistakes"))
    }

    // MARK: Files

    private func message(_ file: String) -> String {
        do {
            _ = try ToolManifest.load(file, variables: [:])
            return "read"
        } catch {
            return error.description
        }
    }

    private func setMode(_ mode: Int, _ path: String) throws {
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
    }

    @Test("a FIFO is refused at once, and so is a device", arguments: ["/dev/zero", "/dev/null", "FIFO", "."])
    func noFile(path: String) async throws {
        let directory = try TemporaryDirectory()
        var path = path
        if path == "FIFO" {
            path = directory.path + "/mesh.yaml"
            #expect(mkfifo(path, 0o600) == 0)
        }
        let file = path
        // A thread of its own: it would block.
        let refusal = try await withDeadline(.seconds(20), "the refusal") { self.message(file) }
        #expect(refusal.contains("not a regular file"), "\(refusal)")
    }

    @Test("a manifest that others may write is refused, with what to do")
    func writable() throws {
        let directory = try TemporaryDirectory()
        let file = try directory.file("mesh.yaml", "node: a\n")
        for mode in [0o644, 0o600, 0o444] {
            try setMode(mode, file)
            #expect(message(file) == "read")
        }
        for mode in [0o646, 0o666, 0o602] {
            try setMode(mode, file)
            #expect(message(file).contains("others may write this file") && message(file).contains("chmod go-w"))
        }
        try setMode(0o600, file)
        try setMode(0o777, directory.path)
        #expect(message(file).contains("others may write in the directory \(directory.path)"))
        // As /tmp: others cannot replace it.
        try setMode(0o1777, directory.path)
        #expect(message(file) == "read")
        try setMode(0o700, directory.path)
        let link = directory.path + "/link.yaml"
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: file)
        #expect(message(link) == "read")
        try setMode(0o666, file)
        #expect(message(link).contains("others may write"))
    }

    @Test("other files that are named: no FIFO, nothing without end", arguments: ["/dev/zero", "FIFO"])
    func others(path: String) async throws {
        let directory = try TemporaryDirectory()
        var path = path
        if path == "FIFO" {
            path = directory.path + "/file"
            #expect(mkfifo(path, 0o600) == 0)
        }
        let file = path
        let errors = try await withDeadline(.seconds(20), "the refusals") { self.refusals(of: file) }
        #expect(errors.count == 6)
        for error in errors { #expect(error.contains("not a regular file"), "\(error)") }
    }

    private func refusals(of file: String) -> [String] {
        let named = ["MESH_EVENTS_WS_HEADERS", "JB_NATS_CREDS", "MESH_EVENTS_NKEY", "MESH_EVENTS_TLS_CA"]
        let reads: [() throws -> Void] =
            [{ _ = try TrustList(file: file) }, { _ = try NodeSigningKey(file: file) }]
            + named.map { name in
                { _ = try MeshTool.Environment(["JB_NATS_URL": "nats://h", "JB_NODE_NAME": "n", name: file]) }
            }
        return reads.compactMap { read in
            do {
                try read()
                return nil
            } catch {
                return "\(error)"
            }
        }
    }

    @Test("a trust list that others may write is refused") func trustList() throws {
        let directory = try TemporaryDirectory()
        let file = try directory.file("trust", "# nobody\n")
        try setMode(0o644, file)
        _ = try TrustList(file: file)
        try setMode(0o666, file)
        let error: MeshEventsError = try #require(throws: MeshEventsError.self) { _ = try TrustList(file: file) }
        #expect(error.message.contains("chmod go-w"))
    }

    @Test("no more than a bound is read of any file") func large() throws {
        let directory = try TemporaryDirectory()
        let file = try directory.file("large", String(repeating: "x", count: 100_001))
        #expect(throws: RegularFile.Failure.self) { _ = try RegularFile(file, maximumBytes: 100_000).read() }
        #expect(try RegularFile(file, maximumBytes: 100_001).read().bytes.count == 100_001)
    }
}
