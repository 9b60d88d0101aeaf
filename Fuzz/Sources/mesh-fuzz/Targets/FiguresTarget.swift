import Foundation

@testable import MeshEvents
@testable import MeshSupervision

/// What the kernel and the programs of GPUs' makers say, cut off and spoilt: whole figures or none.
func attackFigures(_ bytes: [UInt8]) {
    let input = String(decoding: bytes, as: UTF8.self)
    if let sample = ProcFile.process(7, stat: bytes, pageSize: 4_096) {
        // The same text with a number behind it is the same process: nothing was cut off.
        if ProcFile.process(7, stat: bytes + Array(" 7".utf8), pageSize: 4_096) != sample {
            finding("a process depends on what follows its columns", input)
        }
    }
    _ = ProcFile.io(bytes)
    _ = ProcFile.lockLimit(limits: bytes)
    for mark in ProcFile.marks(environ: bytes) where mark.utf8.count != 50 {
        finding("a mark of another length", input)
    }
    let lines = input.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    for isWhole in [true, false] {
        let answer = GPUAnswer(lines: lines, isWhole: isWhole)
        check(NvidiaSMI.report([answer, answer]), input)
        check(RocmSMI.report([answer]), input)
    }
    guard let data = try? EventData(json: bytes) else { return }
    if let usage = ProcessUsage(lenient: JSONValue(data)) {
        // What a state keeps can be sent again.
        guard let back = ProcessUsage(lenient: usage.json), back.rounded == usage.rounded else {
            finding("what a tool uses does not read back", input)
        }
    }
}

private func check(_ report: GPUReport, _ input: String) {
    for device in report.devices {
        let isSane =
            (device.index ?? 0) >= 0 && (0...1).contains(device.use ?? 0) && (device.memoryUsedMB ?? 0) >= 0
            && device.memoryUsedMB ?? 0 <= device.memoryTotalMB ?? .max && (0...200).contains(device.temperature ?? 0)
            && (0...10_000).contains(device.power ?? 0)
            && device.name?.unicodeScalars.contains { $0.value < 32 } != true
        guard isSane, let text = try? EventData(json: device.json.description), text.members.count <= 8 else {
            finding("a GPU that cannot be: \(device)", input)
        }
    }
    for process in report.processes where process.pid <= 0 || (process.memoryMB ?? 0) < 0 {
        finding("a process that cannot be: \(process)", input)
    }
}
