import Foundation
import MeshAlerts
import MeshNotifiers
import MeshSupervision

/// The rules and targets of alerts, from a file: `alerts:` and `notify:` of a node's manifest, or of a file of its own.
struct AlertManifest: Sendable {
    /// A target: where it is, and how often it is told.
    struct Target: Sendable {
        var name: String
        var notifier: NotifierConfiguration
        var window: Duration?
        var mostPerHour: Int?

        /// The target that sends with this client.
        func target(_ client: NotifierClient) -> AlertTarget {
            // A list of alerts is told of everything; a person, of what can be acted on.
            let isList =
                switch notifier {
                case .alertmanager, .webhook: true
                case .ntfy, .slack, .discord, .command: false
                }
            var target = AlertTarget(
                name: name,
                notifier: notifier.makeNotifier(client: client),
                isToldOfExpiry: isList
            )
            if let window { target.window = window }
            if let mostPerHour { target.mostPerHour = mostPerHour }
            return target
        }
    }

    var rules: [AlertRule] = []
    var targets: [Target] = []
    /// The address of the mesh's page, for the links in notifications.
    var page: String?

    /// Whether the file says anything about alerts.
    var isEmpty: Bool { rules.isEmpty && targets.isEmpty }

    /// The most rules and targets.
    static let maximumRules = 10_000
    static let maximumTargets = 100

    /// Reads a file.
    ///
    /// - Parameters:
    ///   - path: the file's path; errors contain it.
    ///   - variables: the values of `${NAME}`; `nil` for this process's environment.
    /// - Throws: `ManifestError` with all mistakes, or when the file cannot be read, is no regular file, or other users may
    ///   write or replace it.
    static func load(_ path: String, variables: [String: String]? = nil) throws(ManifestError) -> AlertManifest {
        try parse(try ManifestDocument.read(path), file: path, variables: variables)
    }

    /// Reads a text.
    ///
    /// - Throws: `ManifestError` with all mistakes.
    static func parse(
        _ text: String,
        file: String = "alerts.yaml",
        variables: [String: String]? = nil
    ) throws(ManifestError) -> AlertManifest {
        let root = try ManifestDocument.compose(text, file: file)
        var reader = AlertManifestReader(
            ManifestReader(
                directory: ManifestDocument.directory(of: file),
                variables: variables ?? ProcessInfo.processInfo.environment
            )
        )
        let manifest = reader.manifest(root)
        guard reader.values.problems.isEmpty else {
            throw ManifestError(file: file, problems: reader.values.problems, omitted: reader.values.omittedProblems)
        }
        return manifest
    }

    /// What the runner does with this client.
    func configuration(_ client: NotifierClient) -> AlertRunner.Configuration {
        AlertRunner.Configuration(rules: rules, targets: targets.map { $0.target(client) }, page: page)
    }

    /// Whether a text can be the address of a page.
    static func isPage(_ text: String) -> Bool {
        (text.hasPrefix("http://") || text.hasPrefix("https://")) && text.utf8.count <= 2_000
            && text.utf8.allSatisfy {
                $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "<") && $0 != UInt8(ascii: ">")
            }
    }
}
