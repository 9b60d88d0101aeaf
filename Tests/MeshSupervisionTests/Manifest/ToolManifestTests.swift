import MeshEvents
import MeshSupervision
import TestSupport
import Testing

@Suite("mesh.yaml")
struct ToolManifestTests {
    @Test("everything a manifest can say")
    func everything() throws {
        let manifest = try ToolManifest.parse(
            """
            # a node
            node: atelier
            nats:
              url: [nats://a:4222, "nats://${USER}:${PW}@b:4222"]
              creds: keys/node.creds
            health: {interval: 1m30s}
            tools:
              - name: whisper
                version: "1.10"
                command: [bin/whisper, --port, 8080, true]
                directory: work
                env: {LANG: C, PORT: 8080, TOKEN: "${TOKEN:-none}", RAW: "$${PW}"}
                config:
                  model: base
                  country: no
                  size: 1.50
                  big: 12345678901234567890
                  hex: 0x1F
                  on: true
                  nothing: ~
                  list: [1, a, {b: 2}]
                  text: "1"
                  key: ${PW}
                inherit: [CUDA_VISIBLE_DEVICES]
                publish: [model, key]
                secrets: [text]
                restart: always
                autostart: false
                grace: 500ms
                crash_output: 5
              - {name: plain, version: v1, command: sleep}
            """,
            file: "/etc/mesh/mesh.yaml",
            variables: ["USER": "me", "PW": "s3cret"]
        )
        #expect(manifest.node == "atelier")
        #expect(manifest.servers == ["nats://a:4222", "nats://me:s3cret@b:4222"])
        #expect(manifest.credentials == "/etc/mesh/keys/node.creds")
        #expect(manifest.healthInterval == .seconds(90))
        let tool = try #require(manifest.tools.first)
        #expect(tool.name == "whisper" && tool.version == "1.10" && tool.directory == "/etc/mesh/work")
        #expect(tool.command == ["/etc/mesh/bin/whisper", "--port", "8080", "true"])
        #expect(tool.environment == ["LANG": "C", "PORT": "8080", "TOKEN": "none", "RAW": "${PW}"])
        let expected: EventData = [
            "model": "base", "country": "no", "size": 1.50, "hex": 31, "on": true, "nothing": nil,
            "list": [1, "a", ["b": 2]], "text": "1", "key": "s3cret",
        ]
        for (key, value) in expected.members { #expect(tool.configuration[key] == value, "\(key)") }
        // Every digit is kept.
        #expect(tool.configuration["big"]?.json == "12345678901234567890")
        #expect(tool.configuration["size"]?.json == "1.50")
        #expect(tool.restart.mode == .always && !tool.autostart && tool.gracePeriod == .milliseconds(500))
        #expect(tool.crashOutput == 5 && manifest.tools[1].crashOutput == 20)
        #expect(tool.inherit == ["CUDA_VISIBLE_DEVICES"] && tool.publish == ["model", "key"])
        let published: EventData = [
            "model": "base", "country": "(string)", "size": 1.50, "big": "(number)", "hex": 31, "on": true,
            "nothing": nil,
            "list": [1, "(string)", ["b": 2]], "text": "[redacted]", "key": "[redacted]",
        ]
        #expect(tool.publishedConfiguration == published)
        let plain = manifest.tools[1]
        #expect(plain.command == ["sleep"] && plain.directory == "/etc/mesh" && plain.autostart)
        #expect(plain.restart.mode == .onFailure && plain.configuration.isNull)
    }

    @Test("the directory with the users of the node's own server") func users() throws {
        func directory(_ text: String) throws -> String? {
            try ToolManifest.parse(text, file: "/etc/mesh/mesh.yaml", variables: ["USERS": "/srv/users"]).authDirectory
        }
        #expect(try directory("auth: mesh-auth") == "/etc/mesh/mesh-auth")
        #expect(try directory("auth: /srv/auth") == "/srv/auth")
        #expect(try directory("auth: ${USERS}") == "/srv/users")
        #expect(try directory("node: a") == nil)
    }

    @Test("anchors, aliases and merges") func aliases() throws {
        let manifest = try ToolManifest.parse(
            """
            tools:
              - &base {name: a, version: v1, command: [sleep, 1], restart: never}
              - {<<: *base, name: b}
            """
        )
        #expect(manifest.tools.map(\.name) == ["a", "b"])
        #expect(manifest.tools[1].restart.mode == .never)
    }

    @Test("an empty list of tools is a manifest") func noTools() throws {
        #expect(try ToolManifest.parse("node: a\ntools:\n").tools.isEmpty)
        #expect(try ToolManifest.parse("nats: nats://h:4222").servers == ["nats://h:4222"])
    }

    @Test("what changes") func difference() throws {
        let old = try ToolManifest.parse(
            """
            tools:
              - {name: gone, version: v1, command: a}
              - {name: same, version: v1, command: a, config: {a: 1, b: 2}}
              - {name: newer, version: v1, command: a, config: {a: 1}}
              - {name: other, version: v1, command: a, config: {a: 1}}
              - {name: kept, version: v1, command: a}
            """
        )
        let new = try ToolManifest.parse(
            """
            tools:
              - {name: added, version: v1, command: a}
              - {name: same, version: v1, command: a, config: {b: 2, a: 1.0}}
              - {name: newer, version: v2, command: a, config: {a: 2}}
              - {name: other, version: v1, command: a, config: {a: 2}}
              - {name: kept, version: v1, command: a, restart: always}
            """
        )
        let difference = old.difference(to: new)
        #expect(difference.removed == ["gone"])
        #expect(difference.added.map(\.name) == ["added"])
        #expect(difference.changed.map(\.tool.name) == ["newer", "other", "kept"])
        #expect(difference.changed.map(\.kind) == [.update, .configuration, .supervision])
        #expect(difference.unchanged == ["same"])
        #expect(old.difference(to: old).isEmpty)
    }
}
