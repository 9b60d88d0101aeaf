/// Tells whether an address to listen on can be reached only from this machine.
enum LoopbackAddress {
    /// Whether other machines can reach a server on this address.
    static func isOpen(_ host: String) -> Bool {
        let name = host.lowercased()
        return !(name == "localhost" || name == "::1" || name.hasPrefix("127."))
    }
}
