import ArgumentParser
import Foundation
import MeshEvents
import MeshEventsInterop
import NATSClient
import Yams

/// `mesh-events schema`.
struct SchemaCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "schema",
        abstract: "Print an AsyncAPI 3.0 document of the mesh's events.",
        usage: "mesh-events schema [--type PATTERN] [--format json|yaml]",
        discussion: """
            The document is made from the Swift types that emit and read the events: a channel for each subject, a \
            message for each type, and the JSON Schema of each message and of its data. User events may have data of \
            any shape. Generators and validators of AsyncAPI can read it. Single schemas are at components.schemas, as \
            tool-crashed-event (the message) and tool-crashed-data (its data). Needs no server.

            EXAMPLES
              mesh-events schema --format yaml > asyncapi.yaml
              mesh-events schema --type 'tool.*'
              mesh-events schema | jq '.components.schemas["tool-crashed-data"]'
            """
    )

    /// How the document is written.
    enum Format: String, ExpressibleByArgument, CaseIterable {
        case json
        case yaml
    }

    @Option(
        help: ArgumentHelp(
            "Only events whose type matches, for example 'tool.*'; user stands for user events. Default: all.",
            valueName: "pattern"
        )
    )
    var type: String?

    @Option(help: ArgumentHelp("How to write the document: json or yaml.", valueName: "format"))
    var format = Format.json

    func run() throws {
        let document = try document()
        switch format {
        case .json: try LineOutput.standard().write(Self.json(document.value))
        case .yaml: try LineOutput.standard().write(Self.yaml(document.value))
        }
    }

    private func document() throws -> AsyncAPIDocument {
        let version = PackageVersion.current
        guard let type else { return AsyncAPIDocument(version: version) }
        let pattern = try PatternArgument.pattern(type)
        let payloads = AsyncAPIDocument.meshPayloads.filter { pattern.matches($0.eventType) }
        let describesUserEvents = type == "user" || pattern.matches("user.x")
        guard describesUserEvents || !payloads.isEmpty else {
            let known = AsyncAPIDocument.meshPayloads.map { $0.eventType.rawValue }.joined(separator: ", ")
            throw CommandFailure(.usage, "no type of the mesh fits '\(type)'; there are \(known) and user")
        }
        return AsyncAPIDocument(version: version, payloads: payloads, describesUserEvents: describesUserEvents)
    }

    private static func json(_ value: JSONValue) throws -> String {
        let data = try JSONSerialization.data(
            withJSONObject: plain(value),
            options: [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        )
        return String(decoding: data, as: UTF8.self)
    }

    private static func yaml(_ value: JSONValue) throws -> String {
        let text = try Yams.dump(object: plain(value), width: -1, allowUnicode: true, sortKeys: true)
        return text.hasSuffix("\n") ? String(text.dropLast()) : text
    }

    /// The value in the types of Foundation, for JSONSerialization and Yams.
    private static func plain(_ value: JSONValue) -> Any {
        switch value {
        case .null: return NSNull()
        case .bool(let bool): return bool
        case .string(let string): return string
        case .array(let elements): return elements.map(plain)
        case .object(let object):
            var members: [String: Any] = [:]
            for (name, member) in object { members[name] = plain(member) }
            return members
        case .number(let number):
            if let integer = number.int64 { return Int(integer) }
            return number.double
        }
    }
}
