import Foundation

/// How much the tests do: `make chaos` sets `MESH_EVENTS_CHAOS=full`, all else takes the short form.
enum ChaosScale {
    static let isFull = ProcessInfo.processInfo.environment["MESH_EVENTS_CHAOS"] == "full"

    static func number(_ short: Int, full: Int) -> Int { isFull ? full : short }
}
