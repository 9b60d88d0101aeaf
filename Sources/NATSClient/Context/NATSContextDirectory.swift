import FileReading
public import Foundation

/// The directory in which the `nats` command line tool keeps contexts: connections that were saved under a name.
///
/// `context/NAME.json` is a context, and `context.txt` has the name of the selected one. Nothing is written here; `nats
/// context` does that.
public struct NATSContextDirectory: Sendable, Hashable {
    /// The environment variable that names a context.
    public static let variable = "NATS_CONTEXT"

    /// The path of the directory `nats`.
    public let path: String

    /// Names the directory at a path; reads nothing yet.
    public init(path: String) { self.path = path }

    /// Finds the directory of the `nats` tool: `$XDG_CONFIG_HOME/nats`, else `$HOME/.config/nats`. `nil` when neither
    /// variable is set.
    public init?(environment: [String: String] = ProcessInfo.processInfo.environment) {
        if let directory = environment["XDG_CONFIG_HOME"], !directory.isEmpty {
            path = directory + "/nats"
        } else if let home = environment["HOME"], !home.isEmpty {
            path = home + "/.config/nats"
        } else {
            return nil
        }
    }

    /// The names of the contexts, in alphabetical order; none when there is no such directory.
    public var names: [String] {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: "\(path)/context")) ?? []
        return files.filter { $0.hasSuffix(".json") }.map { String($0.dropLast(5)) }.filter(Self.isName).sorted()
    }

    /// The name of the selected context; `nil` when none is selected.
    public var selected: String? {
        guard let text = (try? RegularFile("\(path)/context.txt", maximumBytes: 4_096).read())?.text else { return nil }
        let name = text.trimmingCharacters(in: .whitespacesAndNewlines)
        return name.isEmpty ? nil : name
    }

    /// Reads a context.
    ///
    /// - Throws: `invalidArgument` when there is none of that name, or its file cannot be read.
    public func context(_ name: String) throws(NATSError) -> NATSContext {
        guard Self.isName(name) else {
            throw NATSError(
                .invalidArgument,
                "\(name.debugDescription) cannot be the name of a context: it must not be empty, or have '/', '\\' or '..'"
            )
        }
        let file = "\(path)/context/\(name).json"
        guard FileManager.default.fileExists(atPath: file) else {
            let known = names.prefix(20).map(\.debugDescription).joined(separator: ", ")
            throw NATSError(
                .invalidArgument,
                "there is no context \(name.debugDescription): \(file) does not exist; "
                    + (known.isEmpty ? "`nats context save` makes one" : "there are \(known)")
            )
        }
        return try NATSContext(path: file)
    }

    /// The same rule as the `nats` tool has.
    private static func isName(_ name: String) -> Bool {
        !name.isEmpty && !name.contains("..") && !name.contains("/") && !name.contains("\\")
    }
}

/// A context, and who has chosen it.
package struct ChosenNATSContext: Sendable {
    /// Who has chosen a context.
    package enum Chooser: Sendable, Hashable {
        /// The caller, by its name or the path of its file.
        case caller
        /// The environment variable `NATS_CONTEXT`.
        case environment
        /// `nats context select`.
        case selection
    }

    package let context: NATSContext
    package let chooser: Chooser

    /// Finds the context to use; `nil` for none.
    ///
    /// - Parameters:
    ///   - name: a name, or the path of a file that ends with `.json`. `nil` for the one that `NATS_CONTEXT` names, which
    ///     may be a path as well.
    ///   - includesSelected: whether the selected one counts, when neither names one.
    /// - Throws: `invalidArgument` when there is no such context, or its file cannot be read.
    package init?(
        _ name: String?,
        _ environment: [String: String],
        includesSelected: Bool
    ) throws(NATSError) {
        let directory = NATSContextDirectory(environment: environment)
        let variable = environment[NATSContextDirectory.variable].flatMap { $0.isEmpty ? nil : $0 }
        if let named = name ?? variable {
            chooser = name == nil ? .environment : .caller
            if named.hasSuffix(".json"), named.contains("/") || FileManager.default.fileExists(atPath: named) {
                context = try NATSContext(path: named)
            } else if let directory {
                context = try directory.context(named)
            } else {
                throw NATSError(
                    .invalidArgument,
                    "the context \(named.debugDescription) cannot be found: neither XDG_CONFIG_HOME nor HOME is set"
                )
            }
            return
        }
        guard includesSelected, let directory, let selected = directory.selected else { return nil }
        chooser = .selection
        do throws(NATSError) {
            context = try directory.context(selected)
        } catch {
            throw NATSError(
                error.code,
                "\(error.message) (it is the selected one: choose another with `nats context select`, or name a server)"
            )
        }
    }
}

extension NATSConnection.Configuration {
    /// The connection that the `nats` tool has saved as a context.
    ///
    /// ```swift
    /// let connection = try await NATSConnection.connect(.init(context: "production"))
    /// ```
    ///
    /// - Parameters:
    ///   - name: the context's name, or the path of its file, which ends with `.json`. `nil` for the one that the variable
    ///     `NATS_CONTEXT` names, else the selected one.
    ///   - environment: where `NATS_CONTEXT`, `XDG_CONFIG_HOME` and `HOME` are looked up, and the variables that the context
    ///     refers to.
    /// - Throws: `invalidArgument` or `invalidAddress`: there is no such context, or it has a field that cannot be used,
    ///   which the message names.
    public init(
        context name: String?,
        environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws(NATSError) {
        guard let chosen = try ChosenNATSContext(name, environment, includesSelected: true) else {
            throw NATSError(
                .invalidArgument,
                "no context is selected: name one, or choose one with `nats context select`"
            )
        }
        self = try chosen.context.configuration(environment: environment)
    }
}
