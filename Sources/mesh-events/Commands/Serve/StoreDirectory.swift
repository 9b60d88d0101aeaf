import Foundation

/// The default directory for a local server's events.
enum StoreDirectory {
    /// The directory for a port. Each port has its own, because two servers must not share one.
    static func standard(port: Int, _ environment: [String: String]) -> String {
        let home = environment["HOME"].flatMap { $0.isEmpty ? nil : $0 } ?? NSHomeDirectory()
        let data: String
        if let named = environment["XDG_DATA_HOME"], named.hasPrefix("/") {
            data = named
        } else {
            data = home + "/.local/share"
        }
        return "\(data)/mesh-events/\(port)"
    }
}
