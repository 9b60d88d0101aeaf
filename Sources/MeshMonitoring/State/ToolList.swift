import MeshEvents

/// What a health event says of one of its node's tools.
struct ToolListing: Sendable, Equatable {
    /// Its state; `nil` for one that is not known here.
    var state: MeshState.Tool.State?
    /// Its version; empty when that is missing.
    var version: String
    /// How long its state had lasted at the time of the event; `nil` when that is missing.
    var age: Duration?
    /// How often it was restarted since it was last started on request.
    var restarts: Int
    /// The error of its last crash; `nil` when there was none since it was last started on request.
    var error: String?
    /// What it uses; `nil` when that is missing.
    var usage: ProcessUsage?
    /// Whether it works.
    var works = ListedWorks()
    /// When it is started next, when it has a schedule.
    var next: Timestamp?
}

/// What a health event says of whether a tool works.
struct ListedWorks: Sendable, Equatable {
    /// Whether it has shown that it is ready, or need not.
    var isReady = true
    /// Why it is unhealthy, maybe empty; `nil` when it is not.
    var unhealthy: String?
    /// How long it had been unhealthy at the time of the event; `nil` when that is missing.
    var age: Duration?
    /// What it says of itself.
    var text: String?

    /// The approximate size of the texts, in bytes.
    var bytes: Int { (unhealthy?.utf8.count ?? 0) + (text?.utf8.count ?? 0) }
}

extension ListedWorks {
    fileprivate init(_ element: EventData.Field, at time: Timestamp) {
        isReady = element["ready"]?.bool ?? true
        text = element["status"]?.string
        guard element["health"]?.string == NodeHealth.Tool.unhealthy else { return }
        unhealthy = element["health_reason"]?.string ?? ""
        age = element["health_since"]?.string.flatMap { try? Timestamp(rfc3339: $0) }
            .map { max(.zero, time.duration(since: $0)) }
    }
}

/// The tools that a health event lists, read leniently: what is odd is skipped, and then nothing follows from a tool that
/// is not in the list.
struct ToolList {
    /// The most elements that are read; reading costs no more however long the list is.
    static let maximum = NodeHealth.maximumTools

    /// The tools by name, each once, in the order of the list; of several with the same name the last.
    private(set) var tools: [(name: String, listing: ToolListing)] = []
    /// Whether the node has no other tools.
    private(set) var isComplete = true
    /// How many elements were not read because there are too many.
    private(set) var unread = 0
    /// Whether a name was too long.
    private(set) var hasLongNames = false

    /// Reads the list of a health event; `nil` when it has none.
    init?(_ data: EventData, at time: Timestamp) {
        guard let (elements, count) = data["tools"]?.elements(first: Self.maximum) else { return nil }
        unread = count - elements.count
        isComplete = unread == 0 && Self.omitsNone(data["tools_omitted"])
        var indices: [String: Int] = [:]
        for element in elements {
            guard let name = element["name"]?.string, !name.isEmpty else {
                isComplete = false
                continue
            }
            guard name.utf8.count <= MeshState.Limits.nameBytes else {
                (isComplete, hasLongNames) = (false, true)
                continue
            }
            let state = element["state"]?.string
            guard state != MeshState.Tool.State.removed.rawValue else { continue }
            let listing = ToolListing(
                state: state.flatMap { MeshState.Tool.State(rawValue: $0) },
                version: element["version"]?.string ?? "",
                age: element["since"]?.string.flatMap { try? Timestamp(rfc3339: $0) }
                    .map { max(.zero, time.duration(since: $0)) },
                restarts: max(0, element["restarts"]?.int ?? 0),
                error: element["error"]?.string,
                usage: element["usage"].flatMap { ProcessUsage(lenient: $0) },
                works: ListedWorks(element, at: time),
                next: element["next"]?.string.flatMap { try? Timestamp(rfc3339: $0) }
            )
            if let index = indices[name] {
                tools[index].listing = listing
            } else {
                indices[name] = tools.count
                tools.append((name, listing))
            }
        }
    }

    private static func omitsNone(_ count: EventData.Field?) -> Bool { count.map { $0.isNull || $0.int == 0 } ?? true }
}
