import MeshAlerts

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

extension AlertNotification {
    /// The page's address, when it is one that no target takes for something else: `http` or `https`, with a host and
    /// without a login, and none of the characters that end a link in a message.
    var link: String? {
        guard let page, page.utf8.count <= 1_000,
            page.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && !Self.marks.contains($0) }),
            let parts = URLComponents(string: page, encodingInvalidCharacters: false),
            let scheme = parts.scheme?.lowercased(), scheme == "https" || scheme == "http",
            let host = parts.host, !host.isEmpty, parts.user == nil, parts.password == nil
        else {
            return nil
        }
        return page
    }

    /// What ends or begins something in the formats of messages.
    private static let marks = Array("<>|\"\\`^{}*~()".utf8)
}
