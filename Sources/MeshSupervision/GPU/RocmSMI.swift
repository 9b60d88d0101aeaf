import MeshEvents

/// Asks `rocm-smi`, AMD's program, and reads its answer: an object with a member for each card, `card0`, and one for processes.
/// All values are texts.
enum RocmSMI {
    static let program = "rocm-smi"

    static let queries = [
        [
            "--showproductname", "--showuniqueid", "--showuse", "--showmeminfo", "vram", "--showtemp", "--showpower",
            "--showpids", "--json",
        ]
    ]

    static func report(_ answers: [GPUAnswer]) -> GPUReport {
        // Warnings may stand before it.
        guard let line = answers.first?.lines.first(where: { $0.hasPrefix("{") }), let data = try? EventData(json: line)
        else { return GPUReport() }
        var report = GPUReport()
        var system: EventData.Field?
        for (key, value) in data.members {
            if key == "system" { system = value }
            guard key.hasPrefix("card"), let index = GPUText.integer(key.dropFirst(4)) else { continue }
            report.devices.append(device(index, value))
        }
        report.devices.sort { ($0.index ?? 0) < ($1.index ?? 0) }
        // It does not say which of several cards a process uses.
        let index = report.devices.count == 1 ? report.devices.first?.index : nil
        for (key, value) in (system?.members ?? []).prefix(GPUReport.maximumProcesses) {
            guard key.hasPrefix("PID"), let pid = GPUText.integer(key.dropFirst(3)).flatMap({ Int32(exactly: $0) }),
                pid > 0, let text = value.string
            else { continue }
            // Name, cards, memory, DMA, occupancy: the name may hold commas.
            let parts = text.split(separator: ", ", omittingEmptySubsequences: false)
            guard parts.count >= 5 else { continue }
            let bytes = GPUText.integer(parts[parts.count - 3])
            report.processes.append(
                GPUReport.Process(pid: pid, index: index, memoryMB: bytes.map { Double($0) / 1_048_576 })
            )
        }
        return report
    }

    private static func device(_ index: Int, _ card: EventData.Field) -> GPUDevice {
        func text(_ names: String...) -> String? {
            for name in names { if let text = card[name]?.string, !GPUText.isUnknown(text) { return text } }
            return nil
        }
        func megabytes(_ name: String) -> Int? { text(name).flatMap(GPUText.integer).map { $0 >> 20 } }
        var device = GPUDevice(index: index)
        device.id = text("Unique ID").flatMap(GPUText.label)
        device.name = text("Card Series", "Card series", "Device Name", "Card Model", "Card model").flatMap(
            GPUText.label
        )
        device.use = text("GPU use (%)").flatMap(GPUText.decimal).flatMap { $0 <= 100 ? $0 / 100 : nil }
        device.memoryTotalMB = megabytes("VRAM Total Memory (B)")
        device.memoryUsedMB = megabytes("VRAM Total Used Memory (B)")
        if let used = device.memoryUsedMB, let total = device.memoryTotalMB, used > total { device.memoryUsedMB = nil }
        device.temperature = text("Temperature (Sensor edge) (C)", "Temperature (Sensor junction) (C)")
            .flatMap(GPUText.decimal).flatMap { $0 <= 200 ? $0 : nil }
        device.power = text(
            "Average Graphics Package Power (W)",
            "Current Socket Graphics Package Power (W)"
        ).flatMap(GPUText.decimal).flatMap { $0 <= 10_000 ? $0 : nil }
        return device
    }
}
