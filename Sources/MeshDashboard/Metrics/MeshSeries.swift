import MeshEvents
import MeshMetrics
import MeshMonitoring

/// Writes the state of a mesh as series, within the room that there is.
///
/// The counts of nodes by status and of tools by state are always there, and count everything. Then `mesh_node_up` of each
/// node, in up to half of the room; then what else is known of each node and its tools. Nodes and tools in trouble come
/// first, the others by name: what an alert is about is there in the largest mesh.
struct MeshSeries {
    /// What has no series of its own.
    struct LeftOut: Equatable {
        var nodes = 0
        var tools = 0
    }

    /// After how many nodes other tasks get their turn: a large mesh takes long.
    private static let turn = 64
    /// The most checks, GPUs and tools' GPUs of one node or tool.
    private static let maximumChecks = 20
    private static let maximumGPUs = 32
    /// The largest figure that is believed; they are strangers'.
    private static let believed = -1e18...1e18

    private let state: MeshState
    private let crashes: [EventCounts.Tool: UInt64]
    private(set) var leftOut = LeftOut()

    init(_ state: MeshState, crashes: [EventCounts.Tool: UInt64]) {
        self.state = state
        self.crashes = crashes
    }

    /// Writes everything that fits.
    mutating func write(into exposition: inout Exposition) async {
        var summary = MeshState.Summary([])
        var nodes: [(trouble: Trouble, name: String, toolCount: Int, isUp: Bool)] = []
        for (number, name) in state.nodeNames.enumerated() {
            if number % Self.turn == 0 { await Task.yield() }
            guard let node = state.node(name) else { continue }
            let tools = node.tools
            summary.count(node, tools)
            nodes.append((Trouble(node, tools), name, tools.count { $0.state != .removed }, Self.isUp(node)))
        }
        write(summary, into: &exposition)
        nodes.sort { ($0.trouble, $0.name) < ($1.trouble, $1.name) }
        // Names that are the same when they are cut would make one series of two.
        var seen: Set<MetricLabels> = []
        let half = exposition.room / 2
        nodes.removeAll { node in
            let isNew = seen.insert(MetricLabels("node", node.name)).inserted
            if !isNew {
                leftOut.nodes += 1
                leftOut.tools += node.toolCount
            }
            return !isNew
        }
        for node in nodes where exposition.room > half {
            exposition.add(node.isUp ? 1 : 0, to: MeshFamilies.nodeUp, MetricLabels("node", node.name))
        }
        for (number, node) in nodes.enumerated() {
            if number % Self.turn == 0 { await Task.yield() }
            guard exposition.room > 0, let found = state.node(node.name) else {
                leftOut.nodes += 1
                leftOut.tools += node.toolCount
                continue
            }
            write(found, into: &exposition)
        }
    }

    private static func isUp(_ node: MeshState.Node) -> Bool { node.status == .online || node.status == .degraded }

    private func write(_ summary: MeshState.Summary, into exposition: inout Exposition) {
        for (status, count) in [
            ("online", summary.online), ("degraded", summary.degraded), ("unreachable", summary.unreachable),
            ("silent", summary.silent), ("left", summary.left),
        ] {
            exposition.add(Double(count), to: MeshFamilies.nodes, MetricLabels("status", status), isOwed: true)
        }
        for (state, count) in [
            ("installed", summary.installed), ("starting", summary.starting), ("running", summary.running),
            ("backing_off", summary.backingOff), ("failed", summary.failed), ("stopped", summary.stopped),
            (Self.unknown, summary.uncertain),
        ] {
            exposition.add(Double(count), to: MeshFamilies.tools, MetricLabels("state", state), isOwed: true)
        }
        for (what, count) in [
            ("nodes", state.leftOut.nodes), ("tools", state.leftOut.tools), ("values", state.leftOut.values),
        ] {
            exposition.add(Double(count), to: MeshFamilies.stateLeftOut, MetricLabels("what", what), isOwed: true)
        }
    }

    /// The samples of one node or tool, which are added all or none.
    private typealias Samples = [(value: Double, family: MetricFamily, labels: MetricLabels)]

    private static func add(_ samples: Samples, to exposition: inout Exposition) -> Bool {
        guard exposition.room >= samples.count else { return false }
        for sample in samples { exposition.add(sample.value, to: sample.family, sample.labels) }
        return true
    }

    // MARK: Nodes

    private mutating func write(_ node: MeshState.Node, into exposition: inout Exposition) {
        let labels = MetricLabels("node", node.name)
        if !Self.add(Self.samples(of: node, labels), to: &exposition) { leftOut.nodes += 1 }
        var seen: Set<MetricLabels> = []
        for tool in node.toolsByTrouble {
            let labels = labels.adding("tool", tool.name)
            let count = crashes[EventCounts.Tool(node: node.name, name: tool.name)] ?? 0
            guard exposition.room > 0, seen.insert(labels).inserted,
                Self.add(Self.samples(of: tool, crashes: count, labels), to: &exposition)
            else {
                leftOut.tools += 1
                continue
            }
        }
    }

    private static func samples(of node: MeshState.Node, _ labels: MetricLabels) -> Samples {
        var samples: Samples = MeshState.Node.Status.allCases.map {
            (node.status == $0 ? 1 : 0, MeshFamilies.nodeStatus, labels.adding("status", $0.rawValue))
        }
        samples.append((node.isInMaintenance ? 1 : 0, MeshFamilies.nodeMaintenance, labels))
        samples.append((node.lastSeen.seconds, MeshFamilies.nodeSeen, labels))
        if let joined = node.joinedAt { samples.append((joined.seconds, MeshFamilies.nodeJoined, labels)) }
        let said = node.capabilities
        samples.append(
            (
                1, MeshFamilies.nodeInfo,
                ["version", "os", "arch"].reduce(labels) { $0.adding($1, said[$1]?.string ?? "") }
            )
        )
        // What a node said before it fell silent is no figure of now.
        guard isUp(node) else { return samples }
        var seen: Set<MetricLabels> = []
        for check in node.failingChecks.keys.sorted().prefix(maximumChecks) {
            let labels = labels.adding("check", check)
            if seen.insert(labels).inserted { samples.append((1, MeshFamilies.nodeCheck, labels)) }
        }
        samples += figures(node.resources, labels)
        return samples
    }

    /// The figures of a node's health event.
    private static func figures(_ resources: EventData, _ labels: MetricLabels) -> Samples {
        var samples: Samples = []
        func add(_ value: Double?, _ family: MetricFamily, _ labels: MetricLabels) {
            if let value, believed.contains(value) { samples.append((value, family, labels)) }
        }
        add(resources["cpu"]?.double, MeshFamilies.nodeCPU, labels)
        let load = resources["load"]?.elements(first: 3)?.elements ?? []
        for (minutes, value) in zip(["1", "5", "15"], load) {
            add(value.double, MeshFamilies.nodeLoad, labels.adding("minutes", minutes))
        }
        add(resources["mem_used_mb"]?.megabytes, MeshFamilies.nodeMemoryUsed, labels)
        add(resources["mem_total_mb"]?.megabytes, MeshFamilies.nodeMemory, labels)
        add(resources["disk_free_mb"]?.megabytes, MeshFamilies.nodeDiskFree, labels)
        var seen: Set<Int> = []
        for (number, gpu) in (resources["gpus"]?.elements(first: maximumGPUs)?.elements ?? []).enumerated() {
            let index = gpu["index"]?.int ?? number
            guard gpu.isObject, seen.insert(index).inserted else { continue }
            let labels = labels.adding("gpu", "\(index)")
            add(gpu["use"]?.double, MeshFamilies.gpuUse, labels)
            add(gpu["mem_used_mb"]?.megabytes, MeshFamilies.gpuMemoryUsed, labels)
            add(gpu["mem_total_mb"]?.megabytes, MeshFamilies.gpuMemory, labels)
            add(gpu["temp_c"]?.double, MeshFamilies.gpuTemperature, labels)
            add(gpu["power_w"]?.double, MeshFamilies.gpuPower, labels)
            add(1, MeshFamilies.gpuInfo, labels.adding("name", gpu["name"]?.string ?? ""))
        }
        return samples
    }

    // MARK: Tools

    /// The state of a tool whose node is unreachable.
    private static let unknown = "unknown"
    private static let states =
        MeshState.Tool.State.allCases.filter { $0 != .removed }.map(\.rawValue) + [unknown]

    private static func samples(of tool: MeshState.Tool, crashes: UInt64, _ labels: MetricLabels) -> Samples {
        let state = tool.isUncertain ? unknown : tool.state.rawValue
        var samples: Samples = states.map {
            ($0 == state ? 1 : 0, MeshFamilies.toolState, labels.adding("state", $0))
        }
        func add(_ value: Double?, _ family: MetricFamily, _ labels: MetricLabels) {
            if let value { samples.append((value, family, labels)) }
        }
        let isRunning = tool.state == .running && !tool.isUncertain
        if !tool.isUncertain { add(tool.readiness == .ready ? 1 : 0, MeshFamilies.toolReady, labels) }
        if isRunning { add(tool.unhealthyReason == nil ? 1 : 0, MeshFamilies.toolHealthy, labels) }
        add(Double(tool.restartCount), MeshFamilies.toolRestarts, labels)
        add(Double(crashes), MeshFamilies.toolCrashes, labels)
        add(tool.lastCrashAt?.seconds, MeshFamilies.toolLastCrash, labels)
        add(tool.since?.seconds, MeshFamilies.toolSince, labels)
        if let version = tool.version { add(1, MeshFamilies.toolInfo, labels.adding("version", version)) }
        guard !tool.isUncertain, let usage = tool.usage else { return samples }
        add(usage.cpu, MeshFamilies.toolCPU, labels)
        add(usage.memoryMB?.bytes, MeshFamilies.toolMemory, labels)
        add(usage.processes.map(Double.init), MeshFamilies.toolProcesses, labels)
        add(usage.threads.map(Double.init), MeshFamilies.toolThreads, labels)
        add(usage.files.map(Double.init), MeshFamilies.toolFiles, labels)
        add(usage.readMB?.bytes, MeshFamilies.toolRead, labels)
        add(usage.writtenMB?.bytes, MeshFamilies.toolWritten, labels)
        var seen: Set<Int> = []
        for (number, share) in usage.gpus.enumerated() where seen.insert(share.index ?? number).inserted {
            let labels = labels.adding("gpu", "\(share.index ?? number)")
            add(share.memoryMB?.bytes, MeshFamilies.toolGPUMemory, labels)
        }
        return samples
    }
}

extension Timestamp {
    /// Seconds since 1970.
    var seconds: Double { Double(nanosecondsSinceEpoch) / 1e9 }
}

extension Double {
    /// Units of 2²⁰ bytes in bytes.
    fileprivate var bytes: Double { self * 0x1p20 }
}

extension EventData.Field {
    /// A number of units of 2²⁰ bytes, in bytes.
    fileprivate var megabytes: Double? { double?.bytes }
}
