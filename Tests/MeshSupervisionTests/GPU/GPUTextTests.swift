import MeshEvents
import Testing

@testable import MeshSupervision

/// Recordings of `nvidia-smi` and `rocm-smi`, as their manuals describe them.
@Suite("What the programs of GPUs' makers say")
struct GPUTextTests {
    private static let heading =
        "index, uuid, utilization.gpu [%], memory.used [MiB], memory.total [MiB], temperature.gpu, power.draw [W], name"
    private static let apps = "gpu_uuid, pid, used_gpu_memory [MiB]"
    private static let first = "GPU-4e9e74b7-4977-f04d-3af3-ccfe5f570e90"
    private static let second = "GPU-02dbe542-8a6f-11a4-7c2a-486b7d4e9092"

    private func report(_ devices: [String], _ processes: [String] = [], isWhole: Bool = true) -> GPUReport {
        NvidiaSMI.report([
            GPUAnswer(lines: [Self.heading] + devices, isWhole: isWhole),
            GPUAnswer(lines: [Self.apps] + processes, isWhole: isWhole),
        ])
    }

    private let card = GPUDevice(
        index: 0,
        id: first,
        name: "NVIDIA GeForce RTX 4090",
        use: 0.45,
        memoryUsedMB: 11_264,
        memoryTotalMB: 24_564,
        temperature: 54,
        power: 120.45
    )
    private static let row = "0, \(first), 45 %, 11264 MiB, 24564 MiB, 54, 120.45 W, NVIDIA GeForce RTX 4090"

    @Test("several GPUs, and the processes on them")
    func several() {
        let found = report(
            [Self.row, "1, \(Self.second), 0 %, 2 MiB, 81920 MiB, 31, 62.10 W, NVIDIA A100-SXM4-80GB"],
            [
                "\(Self.first), 4242, 8192 MiB", "\(Self.second), 4242, 1024 MiB", "\(Self.second), 4243, 512 MiB",
                "\(Self.second), 4243, 256 MiB", "\(Self.first), 7, 100 MiB",
            ]
        )
        #expect(
            found.devices.count == 2 && found.devices[0] == card && found.devices[1].name == "NVIDIA A100-SXM4-80GB"
        )
        #expect(found.devices[1].use == 0 && found.devices[1].power == 62.1)
        let shares = found.shares([4_242: "whisper", 4_243: "whisper", 4_244: "idle"])
        #expect(
            shares == ["whisper": [.init(index: 0, memoryMB: 8_192), .init(index: 1, memoryMB: 1_792)]]
        )
    }

    @Test(
        "what a GPU does not tell is left out",
        arguments: [
            "[N/A]", "N/A", "[Not Supported]", "[Unknown Error]", "[GPU requires reset]", "[Insufficient Permissions]",
            "",
        ]
    )
    func unknown(_ nothing: String) {
        let found = report(
            ["0, \(Self.first), \(nothing), \(nothing), \(nothing), \(nothing), \(nothing), \(nothing)"],
            ["\(Self.first), 4242, \(nothing)", "\(nothing), 4243, 10 MiB", "\(Self.first), \(nothing), 10 MiB"]
        )
        #expect(found.devices == [GPUDevice(index: 0, id: Self.first)])
        // The only GPU there is.
        #expect(found.processes == [.init(pid: 4_242, index: 0), .init(pid: 4_243, index: 0, memoryMB: 10)])
        #expect(found.shares([4_242: "a"]) == ["a": [.init(index: 0)]])
    }

    @Test("parts of a GPU (MIG): the whole has no use of its own, and memory goes to the GPU that the part names")
    func parts() {
        let found = report(
            ["0, \(Self.first), [N/A], 20000 MiB, 40960 MiB, 40, 90.00 W, NVIDIA A100-PCIE-40GB"],
            [
                "MIG-\(Self.first)/7/0, 4242, 4864 MiB", "MIG-8b43ad9c-0d4c-5b0c-bd1a-9d1b0f8a2c11, 4243, 100 MiB",
                "\(Self.first), 4244, 10 MiB",
            ]
        )
        #expect(found.devices.first?.use == nil && found.devices.first?.memoryUsedMB == 20_000)
        #expect(
            found.processes == [
                .init(pid: 4_242, index: 0, memoryMB: 4_864), .init(pid: 4_243, index: nil, memoryMB: 100),
                .init(pid: 4_244, index: 0, memoryMB: 10),
            ]
        )
    }

    @Test("decimals with a comma, other spaces, line breaks of Windows and a byte order mark")
    func localised() {
        let lines = [
            "\u{FEFF}\(Self.heading)\r",
            "0, \(Self.first), 45\u{A0}%, 11264\u{A0}MiB, 24564 MiB, 54, 120,45 W, NVIDIA GeForce RTX 4090\r",
        ]
        #expect(NvidiaSMI.report([GPUAnswer(lines: lines, isWhole: true)]).devices == [card])
        // What could be thousands or decimals is neither.
        let odd = report(["0, \(Self.first), 45 %, 11,264 MiB, 24.564 MiB, 54, 1,204 W, A, B"])
        #expect(odd.devices == [GPUDevice(index: 0, id: Self.first, name: "A, B", use: 0.45, temperature: 54)])
    }

    @Test("columns in another order, and columns of a newer version, change nothing")
    func columns() {
        let lines = [
            "timestamp, name, uuid, memory.total [MiB], memory.used [MiB], index",
            "2026/11/30 15:00:00.000, NVIDIA GeForce RTX 4090, \(Self.first), 24564 MiB, 11264 MiB, 0",
        ]
        let device = NvidiaSMI.report([GPUAnswer(lines: lines, isWhole: true)]).devices.first
        #expect(device?.name == card.name && device?.memoryUsedMB == 11_264 && device?.index == 0 && device?.use == nil)
        let extra = NvidiaSMI.report([
            GPUAnswer(
                lines: [
                    Self.heading.replacing(", name", with: ", pstate, name"),
                    Self.row.replacing(", NVIDIA", with: ", P0, NVIDIA"),
                ],
                isWhole: true
            )
        ])
        #expect(extra.devices == [card])
    }

    @Test("an answer that is cut off anywhere gives whole figures or none")
    func halfWritten() {
        let whole =
            [Self.heading, Self.row, Self.row.replacing("0, GPU-4e", with: "1, GPU-5e")].joined(separator: "\n") + "\n"
        let expected = report([Self.row, Self.row.replacing("0, GPU-4e", with: "1, GPU-5e")]).devices
        for length in 0...whole.utf8.count {
            let text = String(decoding: whole.utf8.prefix(length), as: UTF8.self)
            // As the lines come of a program that was killed: nothing says that the last one is whole.
            let lines = text.split(separator: "\n").map(String.init)
            let devices = NvidiaSMI.report([GPUAnswer(lines: lines, isWhole: false)]).devices
            #expect(devices == Array(expected.prefix(devices.count)), "\(length) bytes")
        }
        #expect(report([Self.row, "1, GPU-5e"]).devices == [card])
    }

    @Test("figures that cannot be are left out")
    func absurd() {
        let found = report(
            [
                "0, \(Self.first), 145 %, 99999 MiB, 24564 MiB, 999, 99999.00 W, red\u{1B}[0m\u{7}",
                "x, GPU-, 1 %, 1 MiB, 2 MiB, 3, 4.00 W, none", "-1, nothing, 1 %, 1 MiB, 2 MiB, 3, 4.00 W, none",
            ],
            [
                "\(Self.first), 0, 5 MiB", "\(Self.first), -3, 5 MiB", "\(Self.first), 99999999999, 5 MiB",
                "\(Self.first), 5 MiB",
            ]
        )
        #expect(found.devices == [GPUDevice(index: 0, id: Self.first, name: "red[0m", memoryTotalMB: 24_564)])
        #expect(found.processes.isEmpty)
    }

    @Test(
        "what is no table gives nothing",
        arguments: [
            [], [""], ["No devices were found"],
            ["NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."],
            ["Failed to initialize NVML: Driver/library version mismatch"], [heading], ["0, 1, 2, 3, 4, 5, 6, 7"],
            ["pid", "pid", "pid"], [String(repeating: ", ", count: 10_000)], ["uuid, uuid, uuid", "a, b, c"],
        ]
    )
    func noTable(_ lines: [String]) {
        let answer = GPUAnswer(lines: lines, isWhole: true)
        #expect(NvidiaSMI.report([answer, answer]) == GPUReport())
        #expect(NvidiaSMI.report([]) == GPUReport())
    }

    @Test("rocm-smi: cards and processes; a warning before them, and what it cannot tell")
    func rocm() throws {
        let text = """
            {"card0": {"GPU use (%)": "12", "VRAM Total Memory (B)": "21458059264", "VRAM Total Used Memory (B)": "27856896", \
            "Temperature (Sensor edge) (C)": "45.0", "Temperature (Sensor junction) (C)": "50.0", \
            "Average Graphics Package Power (W)": "60.0", "Card Series": "Radeon RX 7900 XT", "Unique ID": "0x9246"}, \
            "system": {"PID4242": "python3, a, 1, 1269313536, 0, 56", "PID7": "x, 1, UNKNOWN, 0, 0", "PIDx": "a, 1, 2, 3, 4", \
            "PID8": 3, "Driver version": "6.1"}}
            """
        let warning = "WARNING: AMD GPU device(s) is/are in a low-power state. Check power control/runtime_status"
        let report = RocmSMI.report([GPUAnswer(lines: [warning, "", text], isWhole: true)])
        let card = GPUDevice(
            index: 0,
            id: "0x9246",
            name: "Radeon RX 7900 XT",
            use: 0.12,
            memoryUsedMB: 26,
            memoryTotalMB: 20_464,
            temperature: 45,
            power: 60
        )
        #expect(report.devices == [card])
        #expect(report.shares([4_242: "whisper"])["whisper"]?.first?.memoryMB.map { Int($0) } == 1_210)
        #expect(report.processes.contains(.init(pid: 7, index: 0)) && report.processes.count == 2)
        // Two cards: it does not say which of them a process uses.
        let two =
            #"{"card1":{"GPU use (%)":"N/A","Device Name":"N/A"},"card0":{"Current Socket Graphics Package Power (W)":"7.222"},"system":{"PID1":"a, 2, 1048576, 0, 0"}}"#
        let other = RocmSMI.report([GPUAnswer(lines: [two], isWhole: true)])
        #expect(other.devices == [GPUDevice(index: 0, power: 7.222), GPUDevice(index: 1)])
        #expect(other.processes == [.init(pid: 1, memoryMB: 1)])
        for bad in ["", "{", text.dropLast(5).description, "[]", #"{"card0":[],"system":[]}"#, #"{"cardx":{}}"#] {
            let report = RocmSMI.report([GPUAnswer(lines: [bad], isWhole: true)])
            #expect(report.processes.isEmpty && report.devices.allSatisfy { $0 == GPUDevice(index: 0) }, "\(bad)")
        }
    }

    @Test("the members that are published, without what is unknown")
    func members() {
        #expect(
            card.json.description
                == #"{"index":0,"mem_total_mb":24564,"mem_used_mb":11264,"name":"NVIDIA GeForce RTX 4090","power_w":120.5,"#
                + #""temp_c":54,"use":0.45,"uuid":"\#(Self.first)"}"#
        )
        #expect(GPUDevice().json == [:])
        #expect(NodeResources(gpus: [GPUDevice(index: 1)]).members == ["gpus": [["index": 1]]])
        let many = NodeResources(gpus: (0..<99).map { GPUDevice(index: $0) }).members["gpus"]?.array
        #expect(many?.count == 32)
    }
}
