import MeshAlerts
import MeshEvents
import MeshMonitoring

/// What `status` was asked for.
enum StatusView: Sendable, Equatable {
    /// The tables of the mesh, or of one node.
    case tables(node: String?)
    /// A node or a tool in detail.
    case detail(StatusArgument)

    /// Whether a change of this node changes what is shown. Which node an argument means is known only when the mesh is.
    func concerns(node: String) -> Bool {
        switch self {
        case .tables(let only): only == nil || only == node
        case .detail(let argument): argument.text.hasPrefix(node)
        }
    }
}

/// What `status` shows at a moment.
enum StatusContent: Sendable {
    /// The mesh, or only this node of it, and the alerts that fire; `nil` when they are not known.
    case mesh(MeshState, node: String?, alerts: AlertsAtMoment?)
    /// A node or a tool.
    case detail(StatusDetail)
    /// Nothing is known of the node or the tool.
    case unknown(CommandFailure)

    /// What is wrong with it.
    ///
    /// - Throws: `CommandFailure`, unavailable, when nothing is known of it: then nothing is known to be well.
    func check() throws(CommandFailure) -> StatusCheck {
        switch self {
        case .unknown(let failure): throw failure
        case .detail(let detail): return StatusCheck(detail.subject)
        case .mesh(let mesh, let name?, _):
            guard let node = mesh.node(name) else { throw .unknownNode(name, in: mesh) }
            return StatusCheck(StatusSubject(node: node, tool: nil))
        case .mesh(let mesh, nil, _):
            guard !mesh.isEmpty else {
                throw CommandFailure(.unavailable, "no node is known, so that nothing is known to be well")
            }
            return StatusCheck(mesh)
        }
    }
}

/// Makes what is shown of the mesh, and reads the events that belong to it.
struct StatusSource: Sendable {
    let view: StatusView
    /// Reads the stored events; `nil` while there is no stream.
    let events: RecentEventReader?
    /// Reads the alerts that fire; `nil` while there is no stream.
    let alerts: FiringAlerts?
    private var readsEvents = true

    init(view: StatusView, events: RecentEventReader?, alerts: FiringAlerts? = nil) {
        self.view = view
        self.events = events
        self.alerts = alerts
    }

    /// The same, but no events are read.
    var withoutReading: StatusSource {
        var source = self
        source.readsEvents = false
        return source
    }

    /// What to show of the mesh.
    ///
    /// - Parameter previous: what was shown before, when its events are still the newest.
    /// - Throws: what reading the events throws.
    func content(of mesh: MeshState, previous: StatusContent? = nil) async throws -> StatusContent {
        switch view {
        case .tables(let node):
            var firing = await alerts?.firing(readsEvents ? nil : .seconds(86_400))
            if let node { firing?.firing.removeAll { $0.alert.group["node"] != node } }
            return .mesh(mesh, node: node, alerts: firing)
        case .detail(let argument):
            let subject: StatusSubject
            do throws(CommandFailure) {
                subject = try argument.subject(in: mesh)
            } catch {
                return .unknown(error)
            }
            if case .detail(let detail) = previous, detail.recent != nil, Self.isSame(detail.subject, subject) {
                return .detail(StatusDetail(subject: subject, recent: detail.recent, now: mesh.now))
            }
            let recent =
                readsEvents
                ? try await events?.read(node: subject.node.name, tool: subject.tool?.name, now: mesh.now) : nil
            return .detail(StatusDetail(subject: subject, recent: recent, now: mesh.now))
        }
    }

    private static func isSame(_ one: StatusSubject, _ other: StatusSubject) -> Bool {
        one.node.name == other.node.name && one.tool?.name == other.tool?.name
    }
}
