extension MeshState {
    /// The counts of nodes by status and tools by state.
    public struct Summary: Sendable, Hashable {
        /// All nodes.
        public internal(set) var nodes = 0
        /// Nodes that report no problem.
        public internal(set) var online = 0
        /// Nodes that report a problem.
        public internal(set) var degraded = 0
        /// Nodes that have sent no event for three of their health intervals.
        public internal(set) var unreachable = 0
        /// Nodes that send no health events and have sent no other event for five minutes.
        public internal(set) var silent = 0
        /// Nodes that left.
        public internal(set) var left = 0
        /// All tools, removed ones aside.
        public internal(set) var tools = 0
        /// Tools that were not started.
        public internal(set) var installed = 0
        /// Tools that are being started.
        public internal(set) var starting = 0
        /// Tools that run.
        public internal(set) var running = 0
        /// Tools that have ended by themselves, and are started again after a delay.
        public internal(set) var backingOff = 0
        /// Tools that have failed, and are not started again.
        public internal(set) var failed = 0
        /// Tools that were stopped.
        public internal(set) var stopped = 0
        /// Tools on unreachable nodes, whatever their last state; they are in none of the six counts above.
        public internal(set) var uncertain = 0

        /// Tools that are backing off or have failed.
        @available(*, deprecated, message: "use backingOff and failed")
        public var crashed: Int { backingOff + failed }

        /// Counts these nodes and their tools.
        package init(_ nodes: [Node]) {
            for node in nodes { count(node) }
        }

        /// Counts one more node.
        package mutating func count(_ node: Node) { count(node, node.tools) }

        /// Counts one more node, whose tools are known already: finding them takes time.
        package mutating func count(_ node: Node, _ tools: [Tool]) {
            nodes += 1
            switch node.status {
            case .online: online += 1
            case .degraded: degraded += 1
            case .unreachable: unreachable += 1
            case .silent: silent += 1
            case .left: left += 1
            }
            for tool in tools { count(tool) }
        }

        /// Adds the counts of other nodes.
        package mutating func add(_ other: Summary) {
            nodes += other.nodes
            online += other.online
            degraded += other.degraded
            unreachable += other.unreachable
            silent += other.silent
            left += other.left
            tools += other.tools
            installed += other.installed
            starting += other.starting
            running += other.running
            backingOff += other.backingOff
            failed += other.failed
            stopped += other.stopped
            uncertain += other.uncertain
        }

        private mutating func count(_ tool: Tool) {
            guard tool.state != .removed else { return }
            tools += 1
            guard !tool.isUncertain else {
                uncertain += 1
                return
            }
            switch tool.state {
            case .installed: installed += 1
            case .starting: starting += 1
            case .running: running += 1
            case .backingOff: backingOff += 1
            case .failed: failed += 1
            case .stopped: stopped += 1
            case .removed: break
            }
        }
    }
}
