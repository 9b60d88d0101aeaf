import MeshEvents
import MeshToolSDK

/// A tool that uses the SDK: its server, node, name and configuration come from the environment, and it ends when its
/// supervisor asks it to.
@main
struct Trainer {
    struct Settings: Decodable {
        var epochs: Int
    }

    static func main() async throws {
        let tool = try await MeshTool.fromEnvironment()
        let settings = try tool.configuration(as: Settings.self)
        try await tool.run { tool in
            for epoch in 1...settings.epochs {
                try tool.emit("training.epoch", ["epoch": JSONValue(epoch), "loss": JSONValue(1 / Double(epoch + 1))])
                try await Task.sleep(for: .seconds(1))
            }
            try tool.emit("training.complete", ["epochs": JSONValue(settings.epochs)])
        }
    }
}
