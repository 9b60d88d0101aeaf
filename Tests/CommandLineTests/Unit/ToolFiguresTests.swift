import MeshEvents
import MeshMonitoring
import Testing

@testable import mesh_events

/// What `status` says of what tools and GPUs use.
@Suite struct ToolFiguresTests {
    private let usage: JSONValue = [
        "cpu": 1.254, "files": 1, "gpus": [["index": 1, "memory_mb": 11_264], ["index": 2], ["memory_mb": 3]],
        "memory_mb": 812.5, "processes": 3, "read_mb": 12_345.6, "threads": 18, "written_mb": 3.25,
    ]

    private func mesh(_ usage: JSONValue?) -> MeshState {
        let time = Timestamp(nanosecondsSinceEpoch: 1_800_000_000_000_000_000)
        var tool: [String: JSONValue] = ["name": "whisper", "version": "v1", "state": "running", "restarts": 0]
        tool["usage"] = usage
        let resources: JSONValue = [
            "cpu": 0.5,
            "gpus": [
                [
                    "index": 0, "name": "NVIDIA A100\u{1B}[31m", "use": 0.45, "mem_used_mb": 11_264,
                    "mem_total_mb": 81_920, "temp_c": 54.4, "power_w": 120.5,
                ],
                ["index": 1, "use": 7, "mem_used_mb": -1], ["index": 2, "temp_c": 30], 7,
            ],
        ]
        let data: EventData = [
            "resources": resources, "status": "online",
            "tools": [JSONValue(tool), ["name": "idle", "version": "v1", "state": "stopped", "restarts": 0]],
        ]
        var mesh = MeshState()
        mesh.apply(
            StoredEvent(event: Event(.nodeHealth, node: "pi", timestamp: time, data: data), sequence: 1, storedAt: time)
        )
        mesh.advance(to: time.adding(.seconds(1)))
        return mesh
    }

    private func lines(_ usage: JSONValue?, tool: String? = nil) throws -> [String] {
        let mesh = mesh(usage)
        let subject = try StatusArgument(text: "pi", tool: tool).subject(in: mesh)
        let detail = StatusDetail(subject: subject, recent: nil, now: mesh.now)
        return StatusDetailFormatter(isColored: false, width: nil).lines(detail)
    }

    @Test func aToolSaysWhatItUsesAndWhereItsGPUMemoryIs() throws {
        let lines = try lines(usage, tool: "whisper")
        let use = "cpu 125 %, memory 813 MB, 3 processes, 18 threads, 1 open file, 12 GB read, 3.3 MB written"
        #expect(lines.contains("Uses        \(use)"), "\(lines)")
        #expect(lines.contains("GPU memory  11 GB on GPU 1, uses GPU 2, 3 MB on a GPU"), "\(lines)")
        let nothing = try self.lines(nil, tool: "whisper")
        #expect(!nothing.contains { $0.hasPrefix("Uses") || $0.hasPrefix("GPU") })
    }

    @Test func aNodeListsItsGPUsAndWhatItsToolsUse() throws {
        let lines = try lines(usage)
        #expect(
            lines.contains { $0.hasPrefix("GPUs") && $0.hasSuffix("[31m, 45 % busy, 11 GB of 80 GB, 54 °C, 121 W") },
            "\(lines)"
        )
        #expect(!lines.joined().contains("\u{1B}") && lines.contains { $0.hasSuffix("2: 30 °C") })
        let heading = try #require(lines.first { $0.hasPrefix("TOOL") })
        #expect(heading.split(separator: " ").suffix(4) == ["CPU", "MEMORY", "GPU", "DETAILS"])
        #expect(lines.contains { $0.hasPrefix("whisper") && $0.contains("125 %") && $0.contains("11 GB on GPU 1") })
        #expect(
            lines.contains { $0.hasPrefix("idle") && $0.split(separator: " ").suffix(2) == ["-", "-"] },
            "\(lines)"
        )
        let plain = try self.lines(nil)
        #expect(plain.first { $0.hasPrefix("TOOL") }?.hasSuffix("RESTARTS  DETAILS") == true, "\(plain)")
    }

    @Test func theJSONHasTheFigures() throws {
        let mesh = mesh(usage)
        let subject = try StatusArgument(text: "pi", tool: "whisper").subject(in: mesh)
        let text = try StatusDetail(subject: subject, recent: nil, now: mesh.now).json()
        #expect(text.contains(#""usage":{"cpu":1.254,"files":1,"gpus":[{"index":1,"memory_mb":11264}"#), "\(text)")
    }

    @Test(arguments: [
        (0, "0 MB"), (0.04, "0 MB"), (3.25, "3.3 MB"), (999, "999 MB"), (1_024, "1 GB"), (81_920, "80 GB"),
        (1e12, "953674 TB"),
    ])
    func sizes(_ megabytes: Double, _ text: String) { #expect(ToolFigures.size(megabytes) == text) }
}
