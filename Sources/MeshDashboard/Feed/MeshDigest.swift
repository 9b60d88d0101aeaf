import MeshEvents
import MeshLifecycle

/// The mesh as it is sent: as much of it as a browser can bear, and how much was left out.
struct MeshDigest: Sendable {
    /// How many bytes of nodes there are at most.
    static let maximumBytes = 2 << 20
    /// How many tools of one node there are at most, the first by name.
    static let maximumTools = 200
    /// What a node says it can do or has is left out when it is longer, in bytes.
    static let maximumData = 16_384
    /// How many failing checks of one node there are at most, the first by name.
    static let maximumChecks = 50

    /// What is not in it.
    struct LeftOut: Sendable, Equatable {
        var nodes = 0
        var tools = 0
        /// Capabilities, resources and checks.
        var values = 0

        var json: JSONValue {
            ["nodes": JSONValue(nodes), "tools": JSONValue(tools), "values": JSONValue(values)]
        }
    }

    /// `/api/mesh`.
    let json: String
    let leftOut: LeftOut

    /// What was made of each node for a digest, to be used again in the next one for those of which nothing is known
    /// anew.
    ///
    /// It holds as many bytes of JSON as that digest has, and what was known of each node then.
    struct Texts: Sendable {
        fileprivate struct Entry: Sendable {
            let version: MeshState.NodeVersion
            let summary: MeshState.Summary
            let toolCount: Int
            /// `nil` when there was no room for it.
            var text: (text: String, leftOut: LeftOut)?
            /// How many bytes that has; `nil` when it was never made.
            let size: Int?
        }

        fileprivate var entries: [String: Entry] = [:]
        /// Of how many nodes the last digest has made anything anew.
        fileprivate(set) var made = 0

        /// How many bytes of JSON are held.
        var bytes: Int { entries.values.reduce(0) { $0 + ($1.text?.text.utf8.count ?? 0) } }
    }

    init(_ state: MeshState, maximumBytes: Int = Self.maximumBytes) {
        var texts = Texts()
        self.init(state, maximumBytes: maximumBytes, reusing: &texts)
    }

    /// - Parameter texts: those of the digest before; those of this one afterwards.
    init(_ state: MeshState, maximumBytes: Int = Self.maximumBytes, reusing texts: inout Texts) {
        var summary = MeshState.Summary([])
        var leftOut = LeftOut()
        var text = ""
        // The first that does not fit is the last that is tried.
        var isFull = false
        var new = Texts()
        // One node after the other: all of them with all of their tools at once can be very large.
        for name in state.nodeNames.sorted() {
            guard let version = state.version(of: name) else { continue }
            let room = maximumBytes - text.utf8.count
            var entry = texts.entries[name]
            if entry?.version != version || !isFull && entry?.text == nil && entry?.size ?? 0 <= room {
                guard let node = state.node(name) else { continue }
                new.made += 1
                let made = isFull ? nil : Self.json(node)
                entry = Texts.Entry(
                    version: version,
                    summary: MeshState.Summary([node]),
                    toolCount: node.tools.count,
                    text: made,
                    size: made?.text.utf8.count
                )
            }
            guard var entry else { continue }
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
        // What the state itself had no room for is not there either.
        leftOut.nodes += Int(clamping: state.leftOut.nodes)
        leftOut.tools += Int(clamping: state.leftOut.tools)
        leftOut.values += Int(clamping: state.leftOut.values)
        self.leftOut = leftOut
        json =
            #"{"time":"\#(state.now)","summary":\#(summary.json),"nodes":[\#(text)],"left_out":\#(leftOut.json)}"#
    }

    /// One node, bounded whatever it has said; `left_out` says what is not in it, where that is something.
    static func json(_ node: MeshState.Node) -> (text: String, leftOut: LeftOut) {
        var leftOut = LeftOut()
        let whole = node.json.object ?? JSONObject([])
        var members = whole.map { key, value -> (String, JSONValue) in
            switch key {
            case "tools":
                let tools = value.array ?? []
                leftOut.tools = max(0, tools.count - maximumTools)
                return (key, .array(tools.prefix(maximumTools).map(cut)))
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

    /// The same with texts that can be shown.
    private static func cut(_ value: JSONValue) -> JSONValue {
        if let text = value.string { return .string(EventText.cut(text)) }
        guard let object = value.object else { return value }
        return .object(JSONObject(object.map { (EventText.cut($0.key), cut($0.value)) }))
    }
}
