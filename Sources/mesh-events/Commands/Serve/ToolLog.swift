import Logging
import MeshLogging

/// Prints the output of a node's tools, and the library's log about tools and node, on standard error.
struct ToolLog: LogHandler {
    /// A logger for a node and its tools.
    static var logger: Logger { Logger(label: "mesh-events.serve") { _ in ToolLog() } }

    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.info

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var details = metadata.merging(event.metadata ?? [:]) { $1 }
        let tool = details.removeValue(forKey: LogKey.tool.rawValue).map { "\($0)" }
        if details.removeValue(forKey: LogKey.output.rawValue) != nil, let tool {
            Diagnostics.write("[\(SafeText.escaped(tool))] \(SafeText.escaped("\(event.message)"))\n")
            return
        }
        let subject = tool.map { "\($0): " } ?? ""
        let rest = details.sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
        Diagnostics.say("\(subject)\(event.message)\(rest.isEmpty ? "" : " (\(rest.dropFirst()))")")
    }
}
