import ArgumentParser
import MeshEvents
import MeshEventsSigning

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
