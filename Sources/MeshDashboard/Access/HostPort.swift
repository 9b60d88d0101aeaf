/// A host and a port as they stand in a `Host` header or after `--listen`: `127.0.0.1:8080`, `[::1]:8080`, `pi.local`.
struct HostPort: Sendable, Equatable {
    /// In lower case; an IPv6 address without its brackets.
    let host: String
    /// `nil` when it is not given.
    let port: Int?

    /// `nil` when the text is none.
    init?(_ text: some StringProtocol) {
        var rest = Substring(text)
        if rest.first == "[" {
            guard let end = rest.firstIndex(of: "]") else { return nil }
            host = rest[rest.index(after: rest.startIndex)..<end].lowercased()
            rest = rest[rest.index(after: end)...]
            guard host.contains(":") else { return nil }
        } else {
            let end = rest.firstIndex(of: ":") ?? rest.endIndex
            var name = rest[..<end]
            // The same name, written from the root of all names (RFC 1034, section 3.1).
            if name.last == "." { name = name.dropLast() }
            host = name.lowercased()
            rest = rest[end...]
        }
        guard !host.isEmpty, host.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "/") }) else {
            return nil
        }
        // A port may be left out behind its colon (RFC 3986, section 3.2.3).
        if rest.isEmpty || rest == ":" {
            port = nil
        } else {
            // Digits alone: a sign would do for the conversion.
            guard rest.first == ":", rest.dropFirst().utf8.allSatisfy(Self.digits.contains),
                let number = Int(rest.dropFirst()), (0...65_535).contains(number)
            else { return nil }
            port = number
        }
    }

    /// Whether the host is an address in digits. What a name leads to, its owner decides; an
    /// address leads where it says.
    var isAddress: Bool {
        if host.contains(":") { return host.utf8.allSatisfy { Self.addressBytes.contains($0) } }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts.allSatisfy { $0.utf8.allSatisfy(Self.digits.contains) && UInt8($0) != nil }
    }

    /// Whether only this machine is meant.
    var isLoopback: Bool {
        host == "localhost" || host == "::1" || isAddress && !host.contains(":") && host.hasPrefix("127.")
    }

    private static let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
    private static let addressBytes = Set("0123456789abcdef:.%".utf8)
}
