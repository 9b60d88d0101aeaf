import NATSClient

/// Says which roles of `mesh-events auth` may do what the server has forbidden.
struct PermissionHint {
    /// A text to append to an error's message.
    let text: String

    /// - Parameter subject: the subject to which the server forbade to publish or subscribe; `nil` for other errors.
    /// - Returns: `nil` when the subject is not one of the mesh's.
    init?(forbidden subject: String?) {
        guard var subject else { return nil }
        // In a domain the subject is `$JS.hub.API.…`.
        let tokens = subject.split(separator: ".", maxSplits: 3, omittingEmptySubsequences: false)
        if tokens.count == 4, tokens[0] == "$JS", tokens[2] == "API" { subject = "$JS.API.\(tokens[3])" }
        let allowed: String
        if subject.hasPrefix("events.user.") {
            allowed = "tools, nodes and admins may emit there, observers only read"
        } else if subject.hasPrefix("events.") {
            allowed = "nodes and admins may emit there, tools only under events.user., observers may not emit"
        } else if subject.hasPrefix("$JS.API.STREAM.") {
            allowed =
                "only admins create, change, purge or delete streams: `mesh-events stream create` once, with an admin's key"
        } else if subject.hasPrefix("$JS.API.CONSUMER.MSG.NEXT.") || subject.hasPrefix("$JS.ACK.") {
            allowed =
                "tools and nodes may take the events of the durables listed for them, observers may take none: "
                + "`mesh-events auth allow --durable` adds one"
        } else if subject.hasPrefix("$JS.API.CONSUMER.") {
            allowed =
                "only admins create, change and delete durables: `mesh-events stream durable` once, with an admin's key"
        } else if subject.hasPrefix("$JS.") {
            allowed = "every user may read the mesh's own stream"
        } else if subject.hasPrefix("mesh.control.") {
            allowed = "only admins may control tools, and a node answers under its own name only"
        } else if subject.hasPrefix("_INBOX.") {
            allowed = "every user has its own inbox, `_INBOX.` and the first 16 characters of its public key"
        } else {
            return nil
        }
        text = " (of the roles of `mesh-events auth`, \(allowed))"
    }
}
