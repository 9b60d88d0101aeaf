import MeshMetrics

/// The metrics of a mesh; the guide's "Metrics" lists them.
enum MeshFamilies {
    // MARK: The mesh

    static let nodes = MetricFamily("mesh_nodes", .gauge, "Nodes by status.")
    static let tools = MetricFamily("mesh_tools", .gauge, "Tools by state; unknown for those of unreachable nodes.")
    static let isKnown = MetricFamily(
        "mesh_state_known",
        .gauge,
        "1 when the state of nodes and tools is known; 0 when their events cannot be read, and nothing is said of them."
    )
    static let stateLeftOut = MetricFamily(
        "mesh_state_left_out",
        .counter,
        "Nodes, tools and values that the state of the mesh did not keep, because it is bounded."
    )
    static let leftOut = MetricFamily(
        "mesh_metrics_left_out",
        .gauge,
        "Nodes, tools, types, consumers, rules and other series that this answer has not, because it is bounded."
    )
    static let series = MetricFamily("mesh_metrics_series", .gauge, "Series of this answer, without this one.")

    // MARK: Nodes

    static let nodeUp = MetricFamily(
        "mesh_node_up",
        .gauge,
        "1 when the node is in the mesh and heard: online or degraded; else 0."
    )
    static let nodeStatus = MetricFamily("mesh_node_status", .gauge, "1 for the node's present status, 0 for others.")
    static let nodeInfo = MetricFamily("mesh_node", .info, "What the node said of itself when it joined.")
    static let nodeSeen = MetricFamily(
        "mesh_node_last_seen_timestamp_seconds",
        .gauge,
        "When the node's last event arrived."
    )
    static let nodeJoined = MetricFamily("mesh_node_joined_timestamp_seconds", .gauge, "When the node joined last.")
    static let nodeMaintenance = MetricFamily(
        "mesh_node_maintenance",
        .gauge,
        "1 while the node is in maintenance, else 0."
    )
    static let nodeCheck = MetricFamily("mesh_node_check_failing", .gauge, "1 for a check that fails on the node.")
    static let nodeCPU = MetricFamily(
        "mesh_node_cpu_ratio",
        .gauge,
        "Part of the time of all processors of the machine that was used, from 0 to 1."
    )
    static let nodeLoad = MetricFamily(
        "mesh_node_load",
        .gauge,
        "Tasks that ran or waited to run, over 1, 5 and 15 minutes."
    )
    static let nodeMemoryUsed = MetricFamily("mesh_node_memory_used_bytes", .gauge, "Memory of the machine in use.")
    static let nodeMemory = MetricFamily("mesh_node_memory_size_bytes", .gauge, "Memory of the machine.")
    static let nodeDiskFree = MetricFamily("mesh_node_disk_free_bytes", .gauge, "Free space where the node stores.")
    static let gpuInfo = MetricFamily("mesh_node_gpu", .info, "The name of a GPU of the machine.")
    static let gpuUse = MetricFamily(
        "mesh_node_gpu_use_ratio",
        .gauge,
        "Part of the time in which the GPU worked, from 0 to 1."
    )
    static let gpuMemoryUsed = MetricFamily("mesh_node_gpu_memory_used_bytes", .gauge, "Memory of the GPU in use.")
    static let gpuMemory = MetricFamily("mesh_node_gpu_memory_size_bytes", .gauge, "Memory of the GPU.")
    static let gpuTemperature = MetricFamily("mesh_node_gpu_temperature_celsius", .gauge, "Temperature of the GPU.")
    static let gpuPower = MetricFamily("mesh_node_gpu_power_watts", .gauge, "Power that the GPU draws.")

    // MARK: Tools

    static let toolState = MetricFamily(
        "mesh_tool_state",
        .gauge,
        "1 for the tool's present state, 0 for others; unknown while its node is unreachable."
    )
    static let toolSince = MetricFamily(
        "mesh_tool_state_timestamp_seconds",
        .gauge,
        "When the tool's present state began."
    )
    static let toolInfo = MetricFamily("mesh_tool", .info, "The version of the tool.")
    static let toolReady = MetricFamily(
        "mesh_tool_ready",
        .gauge,
        "1 when the tool runs, works and is ready, else 0; missing while its node is unreachable."
    )
    static let toolHealthy = MetricFamily(
        "mesh_tool_healthy",
        .gauge,
        "1 when the tool runs and works, as far as is known; 0 when it runs and does not. Missing when it does not run."
    )
    static let toolRestarts = MetricFamily(
        "mesh_tool_restarts",
        .counter,
        "Restarts after a crash, since the tool was last started on request."
    )
    static let toolCrashes = MetricFamily(
        "mesh_tool_crashes",
        .counter,
        "Crashes that were seen since this process began to read the events."
    )
    static let toolLastCrash = MetricFamily(
        "mesh_tool_last_crash_timestamp_seconds",
        .gauge,
        "When the tool last crashed; missing when it did not, or that is not known."
    )
    static let toolCPU = MetricFamily(
        "mesh_tool_cpu_cores",
        .gauge,
        "Processor time of the tool's processes in parts of one processor: 1 is one processor, all the time."
    )
    static let toolMemory = MetricFamily("mesh_tool_memory_bytes", .gauge, "Resident memory of the tool's processes.")
    static let toolProcesses = MetricFamily("mesh_tool_processes", .gauge, "Processes of the tool.")
    static let toolThreads = MetricFamily("mesh_tool_threads", .gauge, "Threads of the tool's processes.")
    static let toolFiles = MetricFamily("mesh_tool_open_files", .gauge, "Files, sockets and pipes of the tool.")
    static let toolRead = MetricFamily(
        "mesh_tool_read_bytes",
        .counter,
        "What the tool's processes read from storage since they started."
    )
    static let toolWritten = MetricFamily(
        "mesh_tool_written_bytes",
        .counter,
        "What the tool's processes wrote to storage since they started."
    )
    static let toolGPUMemory = MetricFamily(
        "mesh_tool_gpu_memory_bytes",
        .gauge,
        "Memory that the tool's processes hold on the GPU."
    )

    // MARK: Events and streams

    static let events = MetricFamily(
        "mesh_events",
        .counter,
        "Events that were seen since this process began to read them, by type."
    )
    static let streamUp = MetricFamily("mesh_stream_up", .gauge, "1 when the stream answers, else 0.")
    static let streamMessages = MetricFamily("mesh_stream_messages", .gauge, "Events that the stream holds.")
    static let streamBytes = MetricFamily("mesh_stream_size_bytes", .gauge, "Size of what the stream holds.")
    static let streamFirst = MetricFamily("mesh_stream_first_sequence", .gauge, "Oldest sequence of the stream.")
    static let streamLast = MetricFamily("mesh_stream_last_sequence", .gauge, "Newest sequence of the stream.")
    static let streamAge = MetricFamily(
        "mesh_stream_age_seconds",
        .gauge,
        "How old the oldest event of the stream is."
    )
    static let streamNewest = MetricFamily(
        "mesh_stream_newest_timestamp_seconds",
        .gauge,
        "When the newest event of the stream was stored."
    )
    static let streamLag = MetricFamily(
        "mesh_stream_lag",
        .gauge,
        "Events of the stream that this process had not read when it looked."
    )
    static let streamEvents = MetricFamily("mesh_stream_events", .gauge, "Events that the stream holds, by type.")
    static let consumerPending = MetricFamily(
        "mesh_consumer_pending",
        .gauge,
        "Events that were not delivered to the durable subscription yet: its lag."
    )
    static let consumerUnacknowledged = MetricFamily(
        "mesh_consumer_unacknowledged",
        .gauge,
        "Events that were delivered to the durable subscription and are not acknowledged."
    )
    static let consumerRedelivered = MetricFamily(
        "mesh_consumer_redelivered",
        .gauge,
        "Of the events that are not acknowledged, those that were delivered more than once."
    )

    // MARK: Alerts

    static let alertsFiring = MetricFamily(
        "mesh_alerts_firing",
        .gauge,
        "Alerts that fire, silenced ones included, by rule and severity."
    )
    static let alertWatcher = MetricFamily(
        "mesh_alert_watcher_up",
        .gauge,
        "1 while a process watches the mesh by its alert rules, else 0. Missing when none ever did."
    )
    static let alertTargets = MetricFamily("mesh_alert_targets_failing", .gauge, "Targets that take no alerts.")

    /// All of them.
    static let all = [
        nodes, tools, isKnown, stateLeftOut, leftOut, series,
        nodeUp, nodeStatus, nodeInfo, nodeSeen, nodeJoined, nodeMaintenance, nodeCheck, nodeCPU, nodeLoad,
        nodeMemoryUsed, nodeMemory, nodeDiskFree, gpuInfo, gpuUse, gpuMemoryUsed, gpuMemory, gpuTemperature, gpuPower,
        toolState, toolSince, toolInfo, toolReady, toolHealthy, toolRestarts, toolCrashes, toolLastCrash, toolCPU,
        toolMemory, toolProcesses, toolThreads, toolFiles, toolRead, toolWritten, toolGPUMemory,
        events, streamUp, streamMessages, streamBytes, streamFirst, streamLast, streamAge, streamNewest, streamLag,
        streamEvents, consumerPending, consumerUnacknowledged, consumerRedelivered,
        alertsFiring, alertWatcher, alertTargets,
    ]
}
