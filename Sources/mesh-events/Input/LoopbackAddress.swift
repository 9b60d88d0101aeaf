import MeshDashboard

/// Tells whether an address to listen on can be reached only from this machine.
enum LoopbackAddress {
    /// Whether other machines can reach a server on this address.
    static func isOpen(_ host: String) -> Bool {
        HostPort(host.contains(":") ? "[\(host)]" : host)?.isLoopback != true
    }
}
