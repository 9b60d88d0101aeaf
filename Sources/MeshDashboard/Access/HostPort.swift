/// A host and a port as in a `Host` header or after `--listen`: `127.0.0.1:8080`, `[::1]:8080`, `pi.local`.
package struct HostPort: Sendable, Equatable {
    /// In lower case; an IPv6 address without its brackets.
    let host: String
    /// `nil` when it is not given.
    let port: Int?

    /// Parses a text; `nil` when it is no host with an optional port.
    package init?(_ text: some StringProtocol) {
        var rest = Substring(text)
        if rest.first == "[" {
            guard let end = rest.firstIndex(of: "]") else { return nil }
            host = rest[rest.index(after: rest.startIndex)..<end].lowercased()
            rest = rest[rest.index(after: end)...]
            guard host.contains(":") else { return nil }
        } else {
            let end = rest.firstIndex(of: ":") ?? rest.endIndex
            var name = rest[..<end]
            // A final dot marks a fully qualified name (RFC 1034, section 3.1).
            if name.last == "." { name = name.dropLast() }
            host = name.lowercased()
            rest = rest[end...]
        }
        guard !host.isEmpty, host.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "/") }) else {
            return nil
        }
        // The port after the colon may be empty (RFC 3986, section 3.2.3).
        if rest.isEmpty || rest == ":" {
            port = nil
        } else {
            // Only digits: `Int` would accept a sign too.
            guard rest.first == ":", rest.dropFirst().utf8.allSatisfy(Self.digits.contains),
                let number = Int(rest.dropFirst()), (0...65_535).contains(number)
            else { return nil }
            port = number
        }
    }

    /// Whether the host is a numeric IP address. The owner of a name decides where it leads; an address is fixed.
    var isAddress: Bool {
        if host.contains(":") { return host.utf8.allSatisfy { Self.addressBytes.contains($0) } }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts.allSatisfy { $0.utf8.allSatisfy(Self.digits.contains) && UInt8($0) != nil }
    }

    /// Whether the host means only this machine.
    package var isLoopback: Bool {
        host == "localhost" || host == "::1" || isAddress && !host.contains(":") && host.hasPrefix("127.")
    }

    private static let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
    private static let addressBytes = Set("0123456789abcdef:.%".utf8)
}
