import ArgumentParser
import MeshEvents
import MeshEventsSigning

/// The options for the trusted signatures, and for the treatment of other events.
struct TrustOptions: ParsableArguments {
    /// The treatment of an event that its node has not signed.
    enum Policy: String, ExpressibleByArgument, CaseIterable {
        case accept, warn, reject
    }

    @Option(
        help: ArgumentHelp(
            "Check signatures. Each line of the file has a node's name and its public key (U…).",
            valueName: "file"
        )
    )
    var trust: String?

    @Option(
        help: ArgumentHelp(
            "What to do with events that their node has not signed: accept (show them, marked), warn (also report them "
                + "on standard error) or reject (leave them out). Default: reject.",
            valueName: "policy"
        )
    )
    var signatures: Policy?

    /// Whether each event is shown with the result of its signature check.
    var marks: Bool { trust != nil && policy != .reject }

    private var policy: Policy { signatures ?? .reject }

    /// The check of signatures; `nil` without `--trust`.
    func verification() throws -> SignatureVerification? {
        guard let trust else {
            guard signatures == nil else {
                throw CommandFailure(.usage, "--signatures needs --trust, a file with the trusted keys")
            }
            return nil
        }
        // The command itself warns about each event, so the library only checks.
        return SignatureVerification(try TrustList(file: trust), policy: policy == .reject ? .reject : .accept)
    }

    /// Whether a checked event has to be left out because it is not trusted.
    func leavesOut(_ event: Event) -> Bool { trust != nil && policy == .reject && !event.signature.isTrusted }

    /// Warns that an event is not signed by its node, when the policy is `warn`.
    func note(_ event: Event) {
        guard policy == .warn, trust != nil, !event.signature.isTrusted else { return }
        let (type, node) = (SafeText.escaped(event.type.rawValue), SafeText.escaped(event.node))
        Diagnostics.say("\(type) of \(node.debugDescription) is \(SafeText.escaped("\(event.signature)"))")
    }

    /// Reports how many events were left out.
    static func reportRejected(_ count: some BinaryInteger) {
        guard count > 0 else { return }
        Diagnostics.say("left out \(count) \(count == 1 ? "event" : "events") not signed by their node")
    }
}

/// The option for the trusted signatures, for commands in which unsigned events must change nothing.
struct TrustFileOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Use only events that their node has signed. Each line of the file has a node's name and its public key "
                + "(U…).",
            valueName: "file"
        )
    )
    var trust: String?

    /// The check of signatures; `nil` without `--trust`.
    ///
    /// - Throws: `invalidArgument` for a file that is no trust list.
    func verification() throws -> SignatureVerification? {
        try trust.map { SignatureVerification(try TrustList(file: $0), policy: .reject) }
    }
}
