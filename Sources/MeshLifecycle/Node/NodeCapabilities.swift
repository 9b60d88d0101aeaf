import Foundation
public import MeshEvents

/// What a node tells of itself when it joins.
public enum NodeCapabilities {
    /// The capabilities of this machine.
    public static func current(tools: Int) -> EventData {
        let process = ProcessInfo.processInfo
        return [
            "arch": .string(architecture),
            "cpus": JSONValue(process.activeProcessorCount),
            "host": .string(process.hostName),
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
