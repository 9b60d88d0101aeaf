import Foundation
import MeshEvents

/// What a node tells of itself when it joins.
enum NodeFacts {
    /// The capabilities of this machine.
    static func capabilities(tools: Int) -> EventData {
        let process = ProcessInfo.processInfo
        return [
            "arch": .string(architecture),
            "cpus": JSONValue(process.activeProcessorCount),
            "host": .string(NodeOptions.hostName),
            "mem_mb": JSONValue(process.physicalMemory >> 20),
            "os": .string(operatingSystem),
            "tools": JSONValue(tools),
        ]
    }

    private static var operatingSystem: String {
        #if os(macOS)
            "macos"
        #else
            "linux"
        #endif
    }

    private static var architecture: String {
        #if arch(arm64)
            "arm64"
        #elseif arch(x86_64)
            "x86_64"
        #else
            "unknown"
        #endif
    }
}
