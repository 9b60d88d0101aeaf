import ArgumentParser
import MeshEvents
import MeshEventsSigning

/// Whose signatures are trusted, and what becomes of other events.
struct TrustOptions: ParsableArguments {
    /// What becomes of an event that its node has not signed.
    enum Policy: String, ExpressibleByArgument, CaseIterable {
        case accept, warn, reject
    }

    @Option(
        help: ArgumentHelp(
            "Look at signatures; the file has a line a key: a node's name and its public key (U…).",
            valueName: "file"
        )
    )
    var trust: String?

    @Option(
        help: ArgumentHelp(
            "What to do with events that their node has not signed: accept (show them as such), warn (and say so on "
                + "standard error) or reject (leave them out). Default: reject.",
            valueName: "policy"
        )
    )
    var signatures: Policy?

    /// Whether each event is shown with what its signature says.
    var marks: Bool { trust != nil && policy != .reject }

    private var policy: Policy { signatures ?? .reject }

    /// How signatures are looked at; `nil` for not at all.
    func verification() throws -> SignatureVerification? {
        guard let trust else {
            guard signatures == nil else {
                throw CommandFailure(.usage, "--signatures needs --trust, a file that says whose signatures count")
            }
            return nil
        }
        // Warnings are this command's own, about each event.
        return SignatureVerification(try TrustList(file: trust), policy: policy == .reject ? .reject : .accept)
    }

    /// Whether an event is to be left out, where its signature was looked at and it was let through.
    func leavesOut(_ event: Event) -> Bool { trust != nil && policy == .reject && !event.signature.isTrusted }

    /// Says that an event is not signed by its node, when that is asked for.
    func note(_ event: Event) {
        guard policy == .warn, trust != nil, !event.signature.isTrusted else { return }
        let (type, node) = (SafeText.escaped(event.type.rawValue), SafeText.escaped(event.node))
        Diagnostics.say("\(type) of \(node.debugDescription) is \(SafeText.escaped("\(event.signature)"))")
    }

    /// Says how many events were left out.
    static func reportRejected(_ count: some BinaryInteger) {
        guard count > 0 else { return }
        Diagnostics.say("left out \(count) \(count == 1 ? "event" : "events") not signed by their node")
    }
}
