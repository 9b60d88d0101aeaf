import Foundation
public import MeshEvents

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// The capabilities that a node publishes when it joins.
public enum NodeCapabilities {
    /// The capabilities of this machine: `arch`, `cpus`, `host`, `mem_mb` (units of 2²⁰ bytes), `os` and `tools`.
    public static func current(tools: Int) -> EventData {
        EventData(JSONObject(members.merging(["tools": JSONValue(tools)]) { $1 }))
    }

    /// The capabilities that do not change while the process runs.
    static var members: [String: JSONValue] {
        let process = ProcessInfo.processInfo
        return [
            "arch": .string(architecture),
            "cpus": JSONValue(process.activeProcessorCount),
            "host": .string(host),
            "mem_mb": JSONValue(process.physicalMemory >> 20),
            "os": .string(operatingSystem),
        ]
    }

    /// This machine's name from the kernel; unlike Foundation's, it never waits for a name server.
    package static var host: String {
        var buffer = [CChar](repeating: 0, count: 256)
        guard gethostname(&buffer, buffer.count - 1) == 0 else { return "localhost" }
        let name = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return name.isEmpty ? "localhost" : name
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
