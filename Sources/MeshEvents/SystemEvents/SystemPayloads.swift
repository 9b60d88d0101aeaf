/// The payloads of the mesh's own events, with their descriptions.
package enum SystemPayloads {
    /// All of them, one for each type.
    package static let all: [any DescribedPayload.Type] = [
        ToolInstalled.self, ToolConfigured.self, ToolStarted.self, ToolStopped.self, ToolCrashed.self, ToolRemoved.self,
        ToolReady.self, ToolUnhealthy.self, ToolHealthy.self,
        ToolFinished.self, ToolSkipped.self,
        NodeJoined.self, NodeLeft.self, NodeHealth.self,
        NodeUnreachable.self, NodeRecovered.self, NodeForgotten.self, NodeMaintenance.self,
        ToolControlled.self,
        AlertFired.self, AlertResolved.self, AlertSilenced.self, AlertUndelivered.self,
    ]
}
