import MeshDashboard
import MeshEvents
import MeshEventsNATS
import NATSClient

/// Controls tools for the page, over its connection to the mesh.
struct PageControl: ToolController {
    let connection: NATSConnection

    func control(
        _ action: PageToolAction,
        tool: String,
        node: String,
        by: String
    ) async throws(MeshEventsError) -> String {
        let action: ToolAction =
            switch action {
            case .start: .start
            case .stop: .stop
            case .restart: .restart
            }
        return try await RemoteTools(node: node, connection: connection, by: by).perform(action, on: tool)
    }
}
