/// What the processes of a tool take of their machine. A figure that is not known is `nil`.
///
/// It counts the program, its process group, and its descendants that left the group.
public struct ProcessUsage: Sendable, Hashable {
    /// The processor time that they used, in parts of one processor: 1 is one processor, all the time. It is that since the
    /// sample before, or since they started, whichever is shorter.
    public var cpu: Double?
    /// Their resident memory, in units of 2²⁰ bytes. Memory that several of them share counts for each of them.
    public var memoryMB: Double?
    /// How many there are.
    public var processes: Int?
    /// How many threads they have together.
    public var threads: Int?
    /// How many files, sockets and pipes they have open.
    public var files: Int?
    /// What they have read from storage since they started, in units of 2²⁰ bytes.
    public var readMB: Double?
    /// What they have written to storage since they started, in units of 2²⁰ bytes.
    public var writtenMB: Double?
    /// The memory that they hold on each GPU, by index; empty when they hold none, or that is not known.
    public var gpus: [GPUShare]

    /// The memory that a tool holds on one GPU.
    public struct GPUShare: Sendable, Hashable {
        /// The number of the GPU on its machine, from 0; `nil` when that is not known.
        public var index: Int?
        /// The memory, in units of 2²⁰ bytes; `nil` when it is not known.
        public var memoryMB: Double?

        /// Creates a share.
        public init(index: Int? = nil, memoryMB: Double? = nil) {
            self.index = index
            self.memoryMB = memoryMB
        }
    }

    /// The most GPUs that are listed.
    public static let maximumGPUs = 16

    /// Creates figures.
    public init(
        cpu: Double? = nil,
        memoryMB: Double? = nil,
        processes: Int? = nil,
        threads: Int? = nil,
        files: Int? = nil,
        readMB: Double? = nil,
        writtenMB: Double? = nil,
        gpus: [GPUShare] = []
    ) {
        self.cpu = cpu
        self.memoryMB = memoryMB
        self.processes = processes
        self.threads = threads
        self.files = files
        self.readMB = readMB
        self.writtenMB = writtenMB
        self.gpus = gpus
    }
}

extension ProcessUsage {
    /// The largest share of processors, count and size that are believed.
    private static let limits = (cpu: 1e6, count: 1e9, megabytes: 1e12)

    /// Reads the figures of a node's list.
    ///
    /// - Throws: `invalidData` when a member is of the wrong kind, negative or absurdly large.
    init(eventData: EventData) throws(MeshEventsError) {
        self.init(
            cpu: try eventData.figure("cpu", upTo: Self.limits.cpu),
            memoryMB: try eventData.figure("memory_mb", upTo: Self.limits.megabytes),
            processes: try eventData.count("processes", upTo: Self.limits.count),
            threads: try eventData.count("threads", upTo: Self.limits.count),
            files: try eventData.count("files", upTo: Self.limits.count),
            readMB: try eventData.figure("read_mb", upTo: Self.limits.megabytes),
            writtenMB: try eventData.figure("written_mb", upTo: Self.limits.megabytes)
        )
        for gpu in try (eventData.objects("gpus") ?? []).prefix(Self.maximumGPUs) {
            gpus.append(
                GPUShare(
                    index: try gpu.count("index", upTo: Self.limits.count),
                    memoryMB: try gpu.figure("memory_mb", upTo: Self.limits.megabytes)
                )
            )
        }
    }

    /// Reads the figures leniently: what is missing, of the wrong kind or absurd is unknown. `nil` when that is all of them.
    package init?(lenient field: EventData.Field) {
        guard field.isObject else { return nil }
        func figure(_ key: String, _ field: EventData.Field, upTo limit: Double = Self.limits.megabytes) -> Double? {
            field[key]?.double.flatMap { (0...limit).contains($0) ? $0 : nil }
        }
        func count(_ key: String, _ field: EventData.Field) -> Int? {
            field[key]?.int.flatMap { (0...Int(Self.limits.count)).contains($0) ? $0 : nil }
        }
        self.init(
            cpu: figure("cpu", field, upTo: Self.limits.cpu),
            memoryMB: figure("memory_mb", field),
            processes: count("processes", field),
            threads: count("threads", field),
            files: count("files", field),
            readMB: figure("read_mb", field),
            writtenMB: figure("written_mb", field)
        )
        for gpu in field["gpus"]?.elements(first: Self.maximumGPUs)?.elements ?? [] {
            let share = GPUShare(index: count("index", gpu), memoryMB: figure("memory_mb", gpu))
            if share != GPUShare() { gpus.append(share) }
        }
        if self == ProcessUsage() { return nil }
    }

    /// Reads the figures leniently from a value; see ``init(lenient:)``.
    package init?(lenient value: JSONValue) {
        guard let field = EventData(JSONObject([("usage", value)]))["usage"] else { return nil }
        self.init(lenient: field)
    }

    /// The figures under the names they are published by; those that are unknown are left out.
    package var json: JSONValue {
        var members: [String: JSONValue] = [:]
        let usage = rounded
        members["cpu"] = usage.cpu.map { JSONValue($0) }
        members["memory_mb"] = usage.memoryMB.map { JSONValue($0) }
        members["processes"] = processes.map { JSONValue($0) }
        members["threads"] = threads.map { JSONValue($0) }
        members["files"] = files.map { JSONValue($0) }
        members["read_mb"] = usage.readMB.map { JSONValue($0) }
        members["written_mb"] = usage.writtenMB.map { JSONValue($0) }
        if !gpus.isEmpty {
            let shares = usage.gpus.map { gpu in
                var members: [String: JSONValue] = [:]
                members["index"] = gpu.index.map { JSONValue($0) }
                members["memory_mb"] = gpu.memoryMB.map { JSONValue($0) }
                return JSONValue(members)
            }
            members["gpus"] = .array(shares)
        }
        return JSONValue(members)
    }

    /// The figures as they are published: sizes with two decimals below 10, one below 1 000, and none above.
    package var rounded: ProcessUsage {
        func megabytes(_ value: Double) -> Double {
            guard value < 1_000 else { return value.rounded() }
            let scale = value < 10 ? 100.0 : 10
            return (value * scale).rounded() / scale
        }
        var usage = self
        usage.cpu = cpu.map { ($0 * 1_000).rounded() / 1_000 }
        usage.memoryMB = memoryMB.map(megabytes)
        usage.readMB = readMB.map(megabytes)
        usage.writtenMB = writtenMB.map(megabytes)
        usage.gpus = gpus.prefix(Self.maximumGPUs).map {
            GPUShare(index: $0.index, memoryMB: $0.memoryMB.map(megabytes))
        }
        return usage
    }

    /// How many bytes its JSON takes at most, roughly.
    package var approximateBytes: Int { 128 + gpus.count * 40 }
}

extension EventData {
    /// The number; `nil` when it is missing.
    fileprivate func figure(_ key: String, upTo limit: Double) throws(MeshEventsError) -> Double? {
        guard let field = self[key], !field.isNull else { return nil }
        let number = try number(key)
        guard (0...limit).contains(number) else { throw wrongRange(key, limit) }
        return number
    }

    /// The integer; `nil` when it is missing.
    fileprivate func count(_ key: String, upTo limit: Double) throws(MeshEventsError) -> Int? {
        guard let field = self[key], !field.isNull else { return nil }
        let integer = try integer(key)
        guard (0...Int(limit)).contains(integer) else { throw wrongRange(key, limit) }
        return integer
    }

    private func wrongRange(_ key: String, _ limit: Double) -> MeshEventsError {
        MeshEventsError(.invalidData, "'\(key)' must be from 0 to \(Int(limit))")
    }
}

extension PayloadField {
    /// The member of a tool in a node's list.
    static let usage = PayloadField(
        "usage",
        .object,
        "What its processes use, as far as that is known: cpu (1 is one processor), memory_mb, processes, threads, files, "
            + "read_mb, written_mb (of storage, since they started), and gpus (an array of index and memory_mb).",
        example: [
            "cpu": 1.25, "files": 42, "gpus": [["index": 1, "memory_mb": 11_264]], "memory_mb": 812.5, "processes": 3,
            "read_mb": 120.5, "threads": 18, "written_mb": 3.25,
        ],
        isOptional: true
    )
}
