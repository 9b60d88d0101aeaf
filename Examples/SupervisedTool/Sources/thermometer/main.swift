// The tool. It finds the mesh, its name and its configuration in its environment.
import Foundation
import MeshEvents
import MeshToolSDK

struct SensorLost: Error {}

let tool = try await MeshTool.fromEnvironment()
let readings = tool.configuration["readings"]?.int ?? 1

do {
    // SIGTERM cancels what is in here; what was emitted has arrived before `run` returns, or throws.
    try await tool.run { tool in
        for number in 1...readings {
            try tool.emit("temperature", ["tool": .init(tool.name), "celsius": .init(19 + number)])
        }
        throw SensorLost()
    }
} catch {
    // For the supervisor that is a crash.
    exit(3)
}
