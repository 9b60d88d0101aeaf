import Foundation

/// Makes the server's address for a tool: a single one, with the login.
enum ToolURL {
    /// The address.
    ///
    /// - Parameters:
    ///   - servers: one address or several with commas. The first is used: not every client understands a list, and a
    ///     server announces the others of its cluster.
    ///   - login: the text before the `@`, a user and a password or a token; an address with a login of its own keeps
    ///     it.
    ///   - keepsLogin: whether an address may keep its own login.
    static func make(servers: String, login: [String]?, keepsLogin: Bool = true) -> String {
        let first = servers.split(separator: ",").first.map(String.init) ?? servers
        var url = first.trimmingCharacters(in: .whitespaces)
        if !keepsLogin, let at = url.lastIndex(of: "@") {
            url.removeSubrange((url.range(of: "://")?.upperBound ?? url.startIndex)...at)
        }
        guard let login, !url.contains("@") else { return url }
        // Escapes no more than necessary: nats-py does not decode the user and the password. A comma would end the
        // address.
        let plain = CharacterSet.alphanumerics.union(CharacterSet(charactersIn: "-._~!$&'()*+;="))
        let user = login.map { $0.addingPercentEncoding(withAllowedCharacters: plain) ?? $0 }
        let (scheme, rest) =
            url.range(of: "://").map { (url[..<$0.upperBound], url[$0.upperBound...]) } ?? ("nats://", url[...])
        return "\(scheme)\(user.joined(separator: ":"))@\(rest)"
    }
}
