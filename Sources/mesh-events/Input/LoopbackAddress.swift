/// Tells whether an address to listen on can be reached only from this machine.
enum LoopbackAddress {
    /// Whether other machines can reach a server on this address.
    static func isOpen(_ host: String) -> Bool {
        let name = host.lowercased()
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        // A name like 127.example.org leads wherever its owner wants.
        let isLoopback = parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
        return !(name == "localhost" || name == "::1" || isLoopback)
    }
}
