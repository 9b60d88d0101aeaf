/// Whether an address to listen on is this machine's alone.
enum LoopbackAddress {
    /// Whether other machines can reach what listens there.
    static func isOpen(_ host: String) -> Bool {
        let name = host.lowercased()
        return !(name == "localhost" || name == "::1" || name.hasPrefix("127."))
    }
}
