import MeshEvents
package import Yams

/// Reads a manifest's nodes, and continues after each mistake.
package struct ManifestReader {
    /// The directory that relative paths start from.
    package let directory: String
    /// The values of `${NAME}`.
    let variables: [String: String]
    /// The first mistakes.
    package private(set) var problems: [ManifestError.Problem] = []
    /// How many more mistakes there are.
    package private(set) var omittedProblems = 0
    /// The texts that the present tool has from environment variables.
    package var confidential: Set<String> = []
    /// What the tools say of each other.
    var order = ManifestOrder()
    /// How many bytes strings with variables may still have.
    var expansionLeft = ToolManifest.maximumExpansion
    /// How many nodes may still be read. It bounds the work for aliases, whose nodes are read at every use.
    var nodesLeft = 200_000

    package init(directory: String, variables: [String: String]) {
        self.directory = directory
        self.variables = variables
    }

    /// The keys of a manifest. Those of alerts are read by the program that sends them.
    package static let keys = ["node", "nats", "auth", "health", "tools", "alerts", "notify", "page"]
    private static let maximumProblems = 100
    /// The longest name of a node, in bytes: `MeshState` drops events with longer ones.
    private static let maximumNodeName = 512
    /// How many Unicode scalars of a message are kept.
    private static let maximumMessage = 1_000

    /// Notes a mistake.
    package mutating func report(_ message: String, at node: Node) {
        guard problems.count < Self.maximumProblems else {
            omittedProblems += 1
            return
        }
        let mark = node.mark
        let message = Self.readable(message)
        problems.append(.init(line: mark?.line ?? 0, column: mark?.column ?? 0, message: message))
    }

    /// Reads the whole manifest.
    mutating func manifest(_ root: Node) -> ToolManifest {
        var manifest = ToolManifest()
        var access: Node?
        for (key, value) in members(of: root, "the manifest", known: Self.keys) {
            switch key {
            case "node": manifest.node = nodeName(value)
            case "nats": servers(value, &manifest)
            case "auth": access = value
            case "health": manifest.healthInterval = health(value)
            case "tools": manifest.tools = tools(value)
            default: break
            }
        }
        if let access { manifest.authDirectory = authDirectory(access, isRemote: !manifest.servers.isEmpty) }
        return manifest
    }

    private mutating func authDirectory(_ node: Node, isRemote: Bool) -> String? {
        guard let path = expanded(node, "auth") else { return nil }
        guard !path.isEmpty else {
            report("auth must name a directory of `mesh-events auth init`", at: node)
            return nil
        }
        guard !isRemote else {
            report("auth is about a server of the node's own, but nats names another; leave one of them out", at: node)
            return nil
        }
        return self.path(path)
    }

    /// A message without control characters, and cut: it may quote the manifest and is shown on terminals.
    private static func readable(_ message: String) -> String {
        var result = ""
        for scalar in message.unicodeScalars.prefix(maximumMessage) {
            if scalar.properties.generalCategory == .control {
                result += "\\u{\(String(scalar.value, radix: 16))}"
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
        return result + (message.unicodeScalars.dropFirst(maximumMessage).isEmpty ? "" : "…")
    }

    private mutating func nodeName(_ node: Node) -> String? {
        guard let name = nonEmpty(node, "node") else { return nil }
        guard name.utf8.count <= Self.maximumNodeName,
            !name.unicodeScalars.contains(where: { $0.properties.generalCategory == .control })
        else {
            report("node must have at most \(Self.maximumNodeName) bytes, and no control characters", at: node)
            return nil
        }
        return name
    }

    private mutating func servers(_ node: Node, _ manifest: inout ToolManifest) {
        guard node.mapping != nil else {
            manifest.servers = urls(node, "nats")
            return
        }
        for (key, value) in members(of: node, "nats", known: ["url", "creds"]) {
            switch key {
            case "url": manifest.servers = urls(value, "nats.url")
            case "creds": manifest.credentials = expanded(value, "nats.creds").map(path)
            default: break
            }
        }
    }

    private mutating func urls(_ node: Node, _ what: String) -> [String] {
        let nodes = node.sequence.map(Array.init) ?? [node]
        if nodes.isEmpty { report("\(what) must be a URL or a list of URLs, not an empty list", at: node) }
        var urls: [String] = []
        for node in nodes {
            guard let url = expanded(node, what) else { continue }
            if url.isEmpty { report("\(what) must be a URL such as nats://127.0.0.1:4222", at: node) }
            urls.append(url)
        }
        return urls
    }

    private mutating func health(_ node: Node) -> Duration? {
        var interval: Duration?
        for (key, value) in members(of: node, "health", known: ["interval"]) where key == "interval" {
            interval = duration(value, "health.interval", in: .milliseconds(100) ... .seconds(86_400))
        }
        return interval
    }

    private mutating func tools(_ node: Node) -> [ToolSpecification] {
        if isNull(node) { return [] }
        guard let nodes = node.sequence else {
            report("tools must be a list, each tool after '- ', not \(kind(of: node))", at: node)
            return []
        }
        var tools: [ToolSpecification] = []
        var lines: [String: Int] = [:]
        if nodes.count > ToolManifest.maximumTools {
            report("\(nodes.count) tools; a manifest has at most \(ToolManifest.maximumTools)", at: node)
            return []
        }
        for node in nodes {
            guard let entry = tool(node) else {
                (order.instances, order.after, order.isIncomplete) = (nil, [], true)
                continue
            }
            for tool in expand(entry, at: node) where tools.count <= ToolManifest.maximumTools {
                if let line = lines[tool.name] {
                    report("a second tool named '\(tool.name)'; the first is in line \(line)", at: node)
                    continue
                }
                lines[tool.name] = node.mark?.line ?? 0
                tools.append(tool)
            }
        }
        guard tools.count <= ToolManifest.maximumTools else {
            report(
                "too many tools with all instances; a manifest has at most \(ToolManifest.maximumTools)",
                at: node
            )
            return []
        }
        resolveOrder(&tools)
        return tools
    }

    /// The path made absolute, relative to ``directory``.
    package func path(_ path: String) -> String {
        path.hasPrefix("/") ? path : path == "." ? directory : "\(directory)/\(path)"
    }
}
