import MeshEvents
import MeshMonitoring

/// The state of the mesh as JSON for browsers, bounded in size, with counts of what was left out. Nodes in trouble come
/// first, then the others by name.
struct MeshDigest: Sendable {
    /// The most bytes for the nodes.
    static let maximumBytes = 2 << 20
    /// The most tools of one node; those in trouble first, then by name, and those that were removed last.
    static let maximumTools = 200
    /// The longest capabilities or resources of a node, in bytes; longer ones are left out.
    static let maximumData = 16_384
    /// The most failing checks of one node, the first by name.
    static let maximumChecks = 50

    /// The counts of what was left out.
    struct LeftOut: Sendable, Equatable {
        var nodes = 0
        var tools = 0
        /// Capabilities, resources and checks.
        var values = 0

        var json: JSONValue {
            ["nodes": JSONValue(nodes), "tools": JSONValue(tools), "values": JSONValue(values)]
        }
    }

    /// The answer of `/api/mesh`, without who keeps the state and what fires.
    let json: String
    let leftOut: LeftOut

    /// The JSON of each node in a digest, to be used again in the next digest for nodes that have not changed.
    ///
    /// It holds the JSON bytes of that digest, and a ``MeshState/NodeVersion`` of each node.
    struct Texts: Sendable {
        fileprivate struct Entry: Sendable {
            let version: MeshState.NodeVersion
            let summary: MeshState.Summary
            let toolCount: Int
            let trouble: Trouble
            /// The node's JSON; `nil` when there was no room for it.
            var text: (text: String, leftOut: LeftOut)?
            /// The size of that JSON, in bytes; `nil` when it was never made.
            var size: Int?
        }

        fileprivate var entries: [String: Entry] = [:]
        /// For how many nodes the last digest made new JSON or counts.
        fileprivate(set) var made = 0

        /// How many bytes of JSON are held.
        var bytes: Int { entries.values.reduce(0) { $0 + ($1.text?.text.utf8.count ?? 0) } }
    }

    init(_ state: MeshState, maximumBytes: Int = Self.maximumBytes) {
        var texts = Texts()
        self.init(state, maximumBytes: maximumBytes, reusing: &texts)
    }

    /// Makes a digest.
    ///
    /// - Parameter texts: the texts of the previous digest; afterwards those of this one.
    init(_ state: MeshState, maximumBytes: Int = Self.maximumBytes, reusing texts: inout Texts) {
        var summary = MeshState.Summary([])
        var leftOut = LeftOut()
        var text = ""
        // Set at the first node that does not fit; all later nodes are left out too.
        var isFull = false
        var new = Texts()
        // How much new JSON there is before it is known what of it fits.
        var newBytes = 0
        // Node by node: all nodes with all their tools at once can take a lot of memory.
        for name in state.nodeNames {
            guard let version = state.version(of: name) else { continue }
            if let entry = texts.entries[name], entry.version == version {
                new.entries[name] = entry
                continue
            }
            guard let node = state.node(name) else { continue }
            new.made += 1
            let made = newBytes < maximumBytes ? Self.json(node) : nil
            newBytes += made?.text.utf8.count ?? 0
            new.entries[name] = Texts.Entry(
                version: version,
                summary: MeshState.Summary([node]),
                toolCount: node.tools.count,
                trouble: Trouble(node, node.tools),
                text: made,
                size: made?.text.utf8.count
            )
        }
        let order = new.entries.map { (trouble: $0.value.trouble, name: $0.key) }
            .sorted { ($0.trouble, $0.name) < ($1.trouble, $1.name) }
        for (_, name) in order {
            guard var entry = new.entries[name] else { continue }
            let room = maximumBytes - text.utf8.count
            if !isFull, entry.text == nil, entry.size ?? 0 <= room, let node = state.node(name) {
                if texts.entries[name]?.version == entry.version { new.made += 1 }
                let made = Self.json(node)
                (entry.text, entry.size) = (made, made.text.utf8.count)
            }
            summary.add(entry.summary)
            if !isFull, let (json, missing) = entry.text, json.utf8.count <= room {
                leftOut.tools += missing.tools
                leftOut.values += missing.values
                if !text.isEmpty { text += "," }
                text += json
            } else {
                isFull = true
                leftOut.nodes += 1
                leftOut.tools += entry.toolCount
                entry.text = nil
            }
            new.entries[name] = entry
        }
        texts = new
        // Adds what the state itself left out.
        leftOut.nodes += Int(clamping: state.leftOut.nodes)
        leftOut.tools += Int(clamping: state.leftOut.tools)
        leftOut.values += Int(clamping: state.leftOut.values)
        self.leftOut = leftOut
        json =
            #"{"time":"\#(state.now)","summary":\#(summary.json),"nodes":[\#(text)],"left_out":\#(leftOut.json)}"#
    }

    /// The answer of `/api/mesh`.
    ///
    /// - Parameters:
    ///   - report: who keeps the state of the mesh; `nil` when that is not known.
    ///   - alerts: what fires, as JSON; `nil` when nothing is known of alerts.
    func json(with report: KeeperReport?, alerts: String?) -> String {
        var members = ""
        if let report { members += #","saved_state":\#(report.json)"# }
        if let alerts { members += #","alerts":\#(alerts)"# }
        return members.isEmpty ? json : "\(json.dropLast())\(members)}"
    }

    /// The JSON of one node, bounded in size; the member `left_out` counts what is missing, if anything is.
    static func json(_ node: MeshState.Node) -> (text: String, leftOut: LeftOut) {
        var leftOut = LeftOut()
        let whole = node.json.object ?? JSONObject([])
        var members = whole.map { key, value -> (String, JSONValue) in
            switch key {
            case "tools":
                let tools = value.array ?? []
                leftOut.tools = max(0, tools.count - maximumTools)
                return (key, .array(first(maximumTools, of: tools).map(cut)))
            case "capabilities", "resources":
                let data = key == "resources" ? node.resources : node.capabilities
                guard data.json.utf8.count > maximumData else { return (key, value) }
                leftOut.values += 1
                return (key, .null)
            case "checks":
                let checks = value.object ?? JSONObject([])
                leftOut.values += max(0, checks.count - maximumChecks)
                return (
                    key, cut(.object(JSONObject(checks.sorted { $0.key < $1.key }.prefix(maximumChecks).map { $0 })))
                )
            default: return (key, cut(value))
            }
        }
        if leftOut != LeftOut() { members.append(("left_out", leftOut.json)) }
        return (JSONValue.object(JSONObject(members)).description, leftOut)
    }

    /// The first tools: those in trouble before the others, and those that were removed last.
    private static func first(_ limit: Int, of tools: [JSONValue]) -> [JSONValue] {
        guard tools.count > limit else { return tools }
        func rank(_ tool: JSONValue) -> Int {
            switch tool["state"]?.string.flatMap({ MeshState.Tool.State(rawValue: $0) }) {
            case .failed: 0
            case .backingOff: 1
            case .running where tool["unhealthy"]?.string != nil: 1
            case .removed: 3
            case .installed, .starting, .running, .stopped, nil: 2
            }
        }
        let order = tools.enumerated().sorted { (rank($0.element), $0.offset) < (rank($1.element), $1.offset) }
        return order.prefix(limit).map(\.element)
    }

    /// The value with all texts cut to ``EventJSONFormatter/nameLimit``.
    private static func cut(_ value: JSONValue) -> JSONValue {
        if let text = value.string { return .string(EventJSONFormatter.cut(text)) }
        guard let object = value.object else { return value }
        return .object(JSONObject(object.map { (EventJSONFormatter.cut($0.key), cut($0.value)) }))
    }
}

extension KeeperReport {
    /// The member `saved_state` of the mesh.
    var json: JSONValue {
        [
            "keeper": keeper.map { .string(EventJSONFormatter.cut($0)) } ?? .null,
            "at": savedUntil.map { .string($0.description) } ?? .null,
            "sequence": sequence.map { JSONValue($0) } ?? .null,
            "behind": behind.map { JSONValue($0) } ?? .null,
        ]
    }
}
