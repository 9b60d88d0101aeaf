import Foundation

/// The server's address as a tool finds it: one, with whatever it needs to log in.
enum ToolURL {
    /// - Parameters:
    ///   - servers: one address or several with commas; the first counts, for not every client understands a list, and
    ///     a server announces the others of its cluster.
    ///   - login: what stands before the `@`, a user and a password or a token; an address that brings its own keeps
    ///     it.
    ///   - keepsLogin: whether an address may keep what it brings.
    static func make(servers: String, login: [String]?, keepsLogin: Bool = true) -> String {
        let first = servers.split(separator: ",").first.map(String.init) ?? servers
        var url = first.trimmingCharacters(in: .whitespaces)
        if !keepsLogin, let at = url.lastIndex(of: "@") {
            url.removeSubrange((url.range(of: "://")?.upperBound ?? url.startIndex)...at)
        }
        guard let login, !url.contains("@") else { return url }
        // No more than must be: nats-py takes the user and the password as they stand. A comma would end the address.
        let plain = CharacterSet.alphanumerics.union(CharacterSet(charactersIn: "-._~!$&'()*+;="))
        let user = login.map { $0.addingPercentEncoding(withAllowedCharacters: plain) ?? $0 }
        let (scheme, rest) =
            url.range(of: "://").map { (url[..<$0.upperBound], url[$0.upperBound...]) } ?? ("nats://", url[...])
        return "\(scheme)\(user.joined(separator: ":"))@\(rest)"
    }
}
