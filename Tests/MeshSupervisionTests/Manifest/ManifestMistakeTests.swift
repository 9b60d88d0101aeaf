import Foundation
import MeshSupervision
import TestSupport
import Testing

@Suite("Mistakes in mesh.yaml")
struct ManifestMistakeTests {
    private static let head = "tools:\n  - name: a\n    version: v1\n    command: [a]\n"
    /// The keys of a tool, in the order in which they are listed.
    private static let keys = """
        name, version, command, env, inherit, config, publish, secrets, restart, autostart, directory, grace, \
        crash_output, logs, health, ready, watchdog, on_unhealthy, stop, memory, nice, cpus, umask, limits, user, after, \
        instances, schedule, every, reload
        """

    /// The mistakes as lines, without the file's name.
    private func mistakes(_ text: String, variables: [String: String] = [:]) -> [String] {
        do {
            _ = try ToolManifest.parse(text, file: "mesh.yaml", variables: variables)
            return []
        } catch {
            return error.problems.map(\.description)
        }
    }

    @Test("all mistakes at once, each where it is and with what was expected")
    func all() {
        let found = mistakes(
            """
            nod: a
            health: {interval: soon}
            tools:
              - name: a
                version: 1.0
                comand: [a]
                restart: allways
                autostart: yes
              - name: b c
                version: "1"
                command: python3 app.py
                env: [A]
                config: 5
                secrets: key
                grace: 2h
              - just text
              - name: a
                version: "1"
                command: []
            """
        )
        #expect(
            found == [
                "1:1: unknown key 'nod' in the manifest; did you mean 'node'?",
                "2:20: health.interval must be a duration such as 10s, 500ms or 1m30s, not 'soon'",
                "4:5: tool a lacks 'command'",
                "5:14: version must be text; quote it: \"1.0\" (YAML takes 1.0 for a number)",
                "6:5: unknown key 'comand' in a tool; did you mean 'command'?",
                "7:14: restart must be always, on-failure, never, not 'allways'; did you mean 'always'?",
                "8:16: autostart must be true or false, not 'yes'",
                "9:11: 'b c' is no tool's name: a name has letters, digits, '-', '_' and '.', at most 64, a letter or "
                    + "digit first",
                "11:14: command as a string is a program without arguments; write a list: [python3, app.py], or have "
                    + "a shell read it: [sh, -c, \"…\"]",
                "12:10: env must be an object (key: value), not a list",
                "13:13: config must be an object of keys and values, not '5'",
                "14:14: secrets must be a list, such as [a, b], not 'key'",
                "15:12: grace must be from 0.0 seconds to 3600.0 seconds, not 2h",
                "16:5: a tool must be an object with name and command, not 'just text'",
                "17:5: a second tool named 'a'; the first is in line 4",
                "19:14: command must name a program",
            ]
        )
    }

    @Test(
        "one mistake each",
        arguments: [
            ("", "the manifest is empty; it needs at least 'tools:' or 'node:'"),
            ("# nothing\n", "the manifest is empty; it needs at least 'tools:' or 'node:'"),
            ("- a\n", "1:1: the manifest must be an object (key: value), not a list"),
            ("tools: {a: b}\n", "1:8: tools must be a list, each tool after '- ', not an object"),
            ("tools:\n\t- name: a\n", "2:1: a tab; YAML is indented with spaces only"),
            ("node: a\r\ntools:\r\n\t- name: a\r\n", "3:1: a tab; YAML is indented with spaces only"),
            ("node: a\nnode: b\n", "1:1: 'node' is given more than once in the same object; keep one"),
            ("node: [a]\n", "1:7: node must be text, not a list"),
            ("node:\n", "1:6: node must be text, not nothing"),
            ("nats: []\n", "1:7: nats must be a URL or a list of URLs, not an empty list"),
            ("auth: ''\n", "1:7: auth must name a directory of `mesh-events auth init`"),
            (
                "auth: users\nnats: nats://a\n",
                "1:7: auth is about a server of the node's own, but nats names another; leave one of them out"
            ),
            (
                "nats: ${URL}\n",
                "1:7: nats: the environment variable URL is not set; set it, or give a default: ${URL:-…}"
            ),
            (
                head + "    env: {A: '${'}\n",
                "5:14: env.A: a '${' without its '}'; write $${ for the characters themselves"
            ),
            (
                head + "    config: {a: [.nan]}\n",
                "5:18: config.a is no number that JSON has; quote it to have it as text"
            ),
            (
                head + "    weather: 5\n",
                "5:5: unknown key 'weather' in a tool; there are \(keys)"
            ),
            (
                "node: \"a\n",
                "2:1: this is no valid YAML: found unexpected end of stream (while scanning a quoted scalar that "
                    + "begins in line 1)"
            ),
            (
                "node: a\n---\nnode: b\n",
                "2:1: this is no valid YAML: but found another document (expected a single document "
                    + "in the stream that begins in line 1)"
            ),
            ("node: *a\n", "1:7: this is no valid YAML: found undefined alias"),
        ]
    )
    func single(_ text: String, _ mistake: String) { #expect(mistakes(text) == [mistake]) }

    @Test("10 MB, alias bombs and deep nesting are refused at once") func huge() async throws {
        let directory = try TemporaryDirectory()
        let file = try directory.file("mesh.yaml", String(repeating: "# comment\n", count: 1 << 20))
        let start = ContinuousClock.now
        #expect(
            loadError(file)?.description == "\(file): the file is larger than 1 MiB, the most that a manifest may have"
        )
        var bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n"
        for (one, two) in zip("abcdefgh", "bcdefghi") {
            bomb += "\(two): &\(two) [\(Array(repeating: "*\(one)", count: 9).joined(separator: ","))]\n"
        }
        #expect(mistakes(bomb) == ["1:1: more than 32 aliases (*name); write the values out"])
        let deep = String(repeating: "[", count: 500_000)
        #expect(mistakes("tools: \(deep)").count == 1)
        let nested = String(repeating: "[", count: 900) + String(repeating: "]", count: 900)
        #expect(
            mistakes(Self.head + "    config: {a: \(nested)}\n") == ["5:116: config.a is nested deeper than 100 levels"]
        )
        #expect(ContinuousClock.now - start < .seconds(20))
    }

    @Test("whatever is changed in a manifest, it is read or refused, with places inside the file")
    func changed() {
        let text = Array(
            """
            node: &n "a"
            nats: {url: [nats://a, *n], creds: "${HOME:-x}"}
            health: {interval: 10s}
            tools:
              - &t {name: a, version: 'v1', command: [a, -1, ~], env: {A: 1}, config: {a: [1, {b: .5}], "c": |-
                x}}
              - <<: *t
                name: b
                secrets: [c]
            """.utf8
        )
        var random: UInt64 = 1
        func next(_ bound: Int) -> Int {
            random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int((random >> 33) % UInt64(bound))
        }
        let marks = Array("&*{}[]:,-'\"|>%@`!#?~<\t\n $0\u{0}\u{85}\u{FEFF}é".utf8)
        for _ in 0..<3_000 {
            var changed = text
            for _ in 0...next(4) {
                let place = next(changed.count)
                switch next(3) {
                case 0: changed[place] = marks[next(marks.count)]
                case 1: changed.insert(marks[next(marks.count)], at: place)
                default: changed.removeSubrange(place..<min(changed.count, place + 1 + next(8)))
                }
            }
            let lines = changed.filter { $0 == 10 || $0 == 13 || $0 == 0x85 }.count + 2
            do {
                _ = try ToolManifest.parse(String(decoding: changed, as: UTF8.self), variables: [:])
            } catch {
                #expect(!error.problems.isEmpty && error.problems.allSatisfy { (0...lines).contains($0.line) })
            }
        }
    }

    @Test("files that cannot be read") func files() async throws {
        let directory = try TemporaryDirectory()
        let missing = directory.path + "/mesh.yaml"
        #expect(loadError(missing)?.description == "\(missing): there is no such file")
        try Data("node: a\nx: \"".utf8 + [0xFF, 0xFE]).write(to: URL(fileURLWithPath: missing))
        #expect(loadError(missing)?.description == "\(missing):2:1: the file is not UTF-8; save it as UTF-8")
        try directory.file("mesh.yaml", "node: a\0b\n")
        #expect(loadError(missing)?.problems.count == 1)
        #expect(loadError(directory.path) != nil)
    }

    private func loadError(_ file: String) -> ManifestError? {
        do {
            _ = try ToolManifest.load(file, variables: [:])
            return nil
        } catch {
            return error
        }
    }
}
