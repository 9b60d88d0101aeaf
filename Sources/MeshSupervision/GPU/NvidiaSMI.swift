/// Asks `nvidia-smi`, and reads its answers: CSV with a line of headings; see its manual, `--query-gpu` and
/// `--query-compute-apps`.
enum NvidiaSMI {
    static let program = "nvidia-smi"

    /// What it is asked. The name comes last: it alone may hold what separates columns.
    static let queries = [
        [
            "--query-gpu=index,uuid,utilization.gpu,memory.used,memory.total,temperature.gpu,power.draw,name",
            "--format=csv",
        ],
        ["--query-compute-apps=gpu_uuid,pid,used_memory", "--format=csv"],
    ]

    /// Reads both answers.
    static func report(_ answers: [GPUAnswer]) -> GPUReport {
        guard let first = answers.first else { return GPUReport() }
        let devices = devices(first)
        guard answers.count > 1 else { return GPUReport(devices: devices) }
        return GPUReport(devices: devices, processes: processes(answers[1], on: devices))
    }

    private static func devices(_ answer: GPUAnswer) -> [GPUDevice] {
        var devices: [GPUDevice] = []
        for row in rows(answer) {
            var device = GPUDevice()
            device.index = row["index"].flatMap(GPUText.integer)
            device.id = row["uuid"].flatMap(identifier)
            guard device.index != nil || device.id != nil else { continue }
            // The same one again is a sign of two answers in one.
            guard !devices.contains(where: { $0.index == device.index && $0.id == device.id }) else { continue }
            device.name = row["name"].flatMap(GPUText.label)
            device.use = figure(row["utilization.gpu"], "%").flatMap { $0 <= 100 ? $0 / 100 : nil }
            device.memoryTotalMB = megabytes(row["memory.total"])
            device.memoryUsedMB = megabytes(row["memory.used"])
            if let used = device.memoryUsedMB, let total = device.memoryTotalMB, used > total {
                device.memoryUsedMB = nil
            }
            device.temperature = row["temperature.gpu"].flatMap(GPUText.decimal).flatMap { $0 <= 200 ? $0 : nil }
            device.power = figure(row["power.draw"], "W").flatMap { $0 <= 10_000 ? $0 : nil }
            devices.append(device)
        }
        return devices
    }

    private static func processes(_ answer: GPUAnswer, on devices: [GPUDevice]) -> [GPUReport.Process] {
        var processes: [GPUReport.Process] = []
        for row in rows(answer).prefix(GPUReport.maximumProcesses) {
            guard let pid = row["pid"].flatMap(GPUText.integer).flatMap({ Int32(exactly: $0) }), pid > 0 else {
                continue
            }
            let id = row["gpu_uuid"].flatMap(identifier)
            let memory = megabytes(row["used_gpu_memory"] ?? row["used_memory"]).map { Double($0) }
            let device = id.flatMap { id in devices.first { $0.id == id } }
            // Of a part of a GPU whose whole is not named, only the memory is known.
            let only = id == nil && devices.count == 1 ? devices.first : nil
            processes.append(GPUReport.Process(pid: pid, index: (device ?? only)?.index, memoryMB: memory))
        }
        return processes
    }

    /// The rows, each by the names of its columns, without their units. A row that is cut off is none.
    private static func rows(_ answer: GPUAnswer) -> [[String: Substring]] {
        var lines = answer.lines.map { $0.replacing("\u{FEFF}", with: "").replacing("\u{A0}", with: " ")[...] }
        // Nothing says that the last line is whole when the program has not ended by itself.
        if !answer.isWhole { _ = lines.popLast() }
        guard let start = lines.firstIndex(where: { columns($0).contains { $0 == "uuid" || $0 == "pid" } }) else {
            return []
        }
        let names = columns(lines[start])
        return lines[(start + 1)...].compactMap { line in
            var cells = split(line)
            guard cells.count >= names.count, let last = names.indices.last else { return nil }
            if cells.count > names.count {
                // Only a name may hold a comma.
                guard names[last] == "name" else { return nil }
                let rest = cells[last...].joined(separator: ", ")
                cells = cells[..<last] + [rest[...]]
            }
            return Dictionary(zip(names, cells)) { first, _ in first }
        }
    }

    /// `utilization.gpu [%], name` as `utilization.gpu` and `name`.
    private static func columns(_ line: Substring) -> [String] {
        split(line).map { String($0.prefix { $0 != " " }) }
    }

    /// A comma without a space behind it belongs to a number.
    private static func split(_ line: Substring) -> [Substring] {
        line.split(separator: ", ", omittingEmptySubsequences: false).map { cell in
            var cell = cell.drop { $0 == " " }
            while cell.last == " " || cell.last == "\r" { cell.removeLast() }
            return cell
        }
    }

    /// A number with this unit; without it the text may be cut off.
    private static func figure(_ text: Substring?, _ unit: String) -> Double? {
        guard let text, text.hasSuffix(unit) else { return nil }
        return GPUText.decimal(text.dropLast(unit.count).filter { $0 != " " })
    }

    private static func megabytes(_ text: Substring?) -> Int? {
        for unit in ["MiB", "MB"] {
            guard let text, text.hasSuffix(unit) else { continue }
            let digits = text.dropLast(unit.count)
            return GPUText.integer(digits.hasSuffix(" ") ? digits.dropLast() : digits)
        }
        return nil
    }

    /// The identifier of a GPU, also from that of a part of it in the older notation: `MIG-GPU-…/1/0`.
    private static func identifier(_ text: Substring) -> String? {
        let whole = text.hasPrefix("MIG-GPU-") ? text.dropFirst(4).prefix { $0 != "/" } : text
        let isPlain = whole.utf8.allSatisfy {
            $0 == 45 || (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0)
        }
        guard isPlain, whole.utf8.count <= 64, whole.hasPrefix("GPU-") || whole.hasPrefix("MIG-"), whole.count > 4
        else {
            return nil
        }
        return String(whole)
    }
}

/// What a program has written, and whether that is all.
struct GPUAnswer: Sendable, Equatable {
    var lines: [String]
    /// Whether it ended by itself without an error, and nothing was dropped.
    var isWhole: Bool
}
