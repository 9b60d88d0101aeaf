import MeshEvents

/// What a tool uses, in a few bytes: a state may have hundreds of thousands of tools. Seven decimal digits of each figure stay.
struct StoredUsage: Sendable, Equatable {
    /// Stands for a figure that is not known.
    private static let unknown = UInt32.max

    private var cpu: Float
    private var memory: Float
    private var read: Float
    private var written: Float
    private var processes: UInt32
    private var threads: UInt32
    private var files: UInt32
    /// Nothing else is stored apart.
    private var gpus: [ProcessUsage.GPUShare]?

    init(_ figures: ProcessUsage) {
        let usage = figures.rounded
        func figure(_ value: Double?) -> Float { value.map { Float($0) } ?? -1 }
        func count(_ value: Int?) -> UInt32 { value.flatMap { UInt32(exactly: $0) } ?? Self.unknown }
        cpu = figure(usage.cpu)
        memory = figure(usage.memoryMB)
        read = figure(usage.readMB)
        written = figure(usage.writtenMB)
        processes = count(usage.processes)
        threads = count(usage.threads)
        files = count(usage.files)
        gpus = usage.gpus.isEmpty ? nil : usage.gpus
    }

    /// The figures, rounded as they are published.
    var usage: ProcessUsage {
        func figure(_ value: Float) -> Double? { value < 0 ? nil : (Double(value) * 1_000).rounded() / 1_000 }
        func count(_ value: UInt32) -> Int? { value == Self.unknown ? nil : Int(value) }
        return ProcessUsage(
            cpu: figure(cpu),
            memoryMB: figure(memory),
            processes: count(processes),
            threads: count(threads),
            files: count(files),
            readMB: figure(read),
            writtenMB: figure(written),
            gpus: gpus ?? []
        )
    }

    /// The approximate size of what is stored apart, in bytes.
    var bytes: Int { gpus.map { 32 + $0.count * MemoryLayout<ProcessUsage.GPUShare>.stride } ?? 0 }
}
