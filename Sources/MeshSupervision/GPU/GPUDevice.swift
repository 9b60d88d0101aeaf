import MeshEvents

/// A GPU of this machine, and how it is used. A figure that the driver does not tell is `nil`.
public struct GPUDevice: Sendable, Hashable {
    /// Its number on this machine, from 0.
    public var index: Int?
    /// Its identifier, which stays when the numbers change: `GPU-4e9e74b7-…`.
    public var id: String?
    /// Its name: `NVIDIA GeForce RTX 4090`.
    public var name: String?
    /// The part of the time in which it worked, from 0 to 1.
    public var use: Double?
    /// Memory in use, in units of 2²⁰ bytes.
    public var memoryUsedMB: Int?
    /// Its memory, in units of 2²⁰ bytes.
    public var memoryTotalMB: Int?
    /// Its temperature, in degrees Celsius.
    public var temperature: Double?
    /// The power that it draws, in watts.
    public var power: Double?

    /// Creates figures.
    public init(
        index: Int? = nil,
        id: String? = nil,
        name: String? = nil,
        use: Double? = nil,
        memoryUsedMB: Int? = nil,
        memoryTotalMB: Int? = nil,
        temperature: Double? = nil,
        power: Double? = nil
    ) {
        self.index = index
        self.id = id
        self.name = name
        self.use = use
        self.memoryUsedMB = memoryUsedMB
        self.memoryTotalMB = memoryTotalMB
        self.temperature = temperature
        self.power = power
    }

    /// The most GPUs that are published.
    static let maximumPublished = 32

    /// The figures under the names they are published by; those that are unknown are left out.
    var json: JSONValue {
        var members: [String: JSONValue] = [:]
        members["index"] = index.map { JSONValue($0) }
        members["uuid"] = id.map { .string($0) }
        members["name"] = name.map { .string($0) }
        members["use"] = use.map { JSONValue(($0 * 1_000).rounded() / 1_000) }
        members["mem_used_mb"] = memoryUsedMB.map { JSONValue($0) }
        members["mem_total_mb"] = memoryTotalMB.map { JSONValue($0) }
        members["temp_c"] = temperature.map { JSONValue(($0 * 10).rounded() / 10) }
        members["power_w"] = power.map { JSONValue(($0 * 10).rounded() / 10) }
        return JSONValue(members)
    }
}

/// What a vendor's program says at one moment.
struct GPUReport: Sendable, Equatable {
    /// A process that uses a GPU.
    struct Process: Sendable, Equatable {
        var pid: Int32
        /// The number of the GPU; `nil` when that is not known.
        var index: Int?
        var memoryMB: Double?
    }

    /// The most processes that are read.
    static let maximumProcesses = 4_096

    var devices: [GPUDevice] = []
    var processes: [Process] = []

    /// What programs hold on each GPU, by their names.
    ///
    /// - Parameter names: the name of the program of each process.
    func shares(_ names: [Int32: String]) -> [String: [ProcessUsage.GPUShare]] {
        var shares: [String: [Int?: Double?]] = [:]
        for process in processes {
            guard let name = names[process.pid] else { continue }
            let before = shares[name]?[process.index] ?? nil
            let sum = process.memoryMB.map { ($0 + (before ?? 0)) } ?? before
            shares[name, default: [:]].updateValue(sum, forKey: process.index)
        }
        return shares.mapValues { shares in
            shares.map { ProcessUsage.GPUShare(index: $0.key, memoryMB: $0.value) }
                .sorted { ($0.index ?? .max) < ($1.index ?? .max) }
        }
    }

    /// The same with what another vendor's program says.
    func adding(_ other: GPUReport) -> GPUReport {
        GPUReport(devices: devices + other.devices, processes: processes + other.processes)
    }
}

/// Reads the texts of vendors' programs: what is odd becomes unknown, and never a wrong figure.
enum GPUText {
    /// A name or identifier, of at most 64 printable characters.
    static func label(_ text: some StringProtocol) -> String? {
        let trimmed = text.drop(while: \.isWhitespace)
        var label = ""
        for scalar in trimmed.unicodeScalars.prefix(64) where scalar.value >= 0x20 && scalar.value != 0x7F {
            label.unicodeScalars.append(scalar)
        }
        while label.last?.isWhitespace == true { label.removeLast() }
        return label.isEmpty || isUnknown(label) ? nil : label
    }

    /// Whether a text says that there is no figure: `[N/A]`, `N/A`, `[Not Supported]`, `[Unknown Error]`.
    static func isUnknown(_ text: some StringProtocol) -> Bool {
        text.hasPrefix("[") || text == "N/A" || text == "None" || text == "unknown"
    }

    /// An integer without a sign, of digits alone.
    static func integer(_ text: some StringProtocol) -> Int? {
        guard !text.isEmpty, text.utf8.count <= 18, text.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
        return Int(text)
    }

    /// A number with at most two decimals after a point, or a comma as some languages have it. Three digits after it could as
    /// well be thousands.
    static func decimal(_ text: some StringProtocol) -> Double? {
        let parts = text.split(omittingEmptySubsequences: false) { $0 == "." || $0 == "," }
        guard (1...2).contains(parts.count), let whole = integer(parts[0]) else { return nil }
        guard parts.count == 2 else { return Double(whole) }
        guard (1...2).contains(parts[1].utf8.count) || text.contains(".") && parts[1].utf8.count <= 9,
            let fraction = integer(parts[1])
        else { return nil }
        var scale = 1.0
        for _ in parts[1].utf8 { scale *= 10 }
        return Double(whole) + Double(fraction) / scale
    }
}
