import Foundation
public import MeshEvents
import Yams

/// A tool as it stands in a file, in the form of a tool of a manifest (``ToolManifest``), with its variables as they are
/// written. It can be sent to another node, which replaces the variables by its own environment:
///
/// ```yaml
/// name: whisper
/// version: "1.4.0"
/// command: [python3, /opt/whisper/whisper.py]
/// env: {HF_TOKEN: "${HF_TOKEN}"}
/// ```
///
/// ```swift
/// let document = try ToolDocument.load("whisper.yaml")
/// try await RemoteTools(node: "gpu-1", connection: connection).install(document.name, document.json)
/// ```
public struct ToolDocument: Sendable, Hashable {
    /// The tool's name.
    public let name: String
    /// The specification as JSON.
    public let json: EventData

    /// The most levels of the document, and the most values.
    private static let (maximumDepth, maximumValues) = (64, 20_000)

    /// Reads a file.
    ///
    /// - Throws: `ManifestError` with all mistakes, or when the file cannot be read, is no regular file, or other users
    ///   may write or replace it.
    public static func load(_ path: String) throws(ManifestError) -> ToolDocument {
        try parse(try ManifestDocument.read(path), file: path)
    }

    /// Reads a text in YAML, or JSON.
    ///
    /// Paths are not resolved and variables not replaced: that is for the node that runs the tool. The check takes any value
    /// for each variable.
    ///
    /// - Parameters:
    ///   - text: the text.
    ///   - file: the file's name, for errors.
    /// - Throws: `ManifestError` with all mistakes.
    public static func parse(_ text: String, file: String = "tool.yaml") throws(ManifestError) -> ToolDocument {
        let root = try ManifestDocument.compose(text, file: file)
        guard root.mapping != nil, root["tools"] == nil else {
            let advice =
                "the file must be one tool: an object with name, version and command, as one of the tools of mesh.yaml"
            throw ManifestError(file: file, advice, line: root.mark?.line ?? 0, column: root.mark?.column ?? 0)
        }
        var reader = ManifestReader(directory: "/", variables: variables(in: text))
        let manifest = reader.manifest(Node([(Node("tools"), Node([root]))]))
        var values = maximumValues
        let json = value(root, depth: 0, isText: true, &values, &reader)
        guard reader.problems.isEmpty, let object = json.object, let name = object["name"]?.string else {
            throw ManifestError(file: file, problems: reader.problems, omitted: reader.omittedProblems)
        }
        guard manifest.tools.count == 1 else {
            throw ManifestError(file: file, "the file must be one tool, not \(manifest.tools.count)")
        }
        return ToolDocument(name: name, json: EventData(object))
    }

    /// The specification, with its variables replaced.
    ///
    /// - Parameters:
    ///   - json: the specification as JSON.
    ///   - directory: where relative paths start.
    ///   - variables: the values of `${NAME}`.
    /// - Throws: `ManifestError` with all mistakes; they have no place in a file.
    static func specification(
        _ json: EventData,
        directory: String,
        variables: [String: String]
    ) throws(ManifestError) -> ToolSpecification {
        let text = EventData(JSONObject([("tools", .array([json.value]))])).json
        let file = directory + (directory.hasSuffix("/") ? "" : "/") + "specification"
        let manifest = try ToolManifest.parse(text, file: file, variables: variables)
        guard manifest.tools.count == 1, let tool = manifest.tools.first else {
            throw ManifestError(file: file, "the specification must be one tool, not \(manifest.tools.count)")
        }
        return tool
    }

    /// A value for each variable that the text may use.
    private static func variables(in text: String) -> [String: String] {
        var variables: [String: String] = [:]
        var rest = text[...]
        while let start = rest.firstRange(of: "${") {
            rest = rest[start.upperBound...]
            variables[String(rest.prefix { $0 == "_" || $0.isASCII && ($0.isLetter || $0.isNumber) })] = "x"
        }
        return variables
    }

    /// A node as JSON, as it is written.
    ///
    /// - Parameter isText: whether a number is taken as text by its reader, so that its spelling has to stay.
    private static func value(
        _ node: Node,
        depth: Int,
        isText: Bool,
        _ left: inout Int,
        _ reader: inout ManifestReader
    ) -> JSONValue {
        left -= 1
        guard left > 0, depth < maximumDepth else {
            if left == 0 || depth == maximumDepth { reader.report("a specification has too many values", at: node) }
            return .null
        }
        if node.mapping != nil {
            var object: [(String, JSONValue)] = []
            for (key, child) in reader.members(of: node, "the specification", known: nil) {
                let isText = isText && !(depth == 0 && key == "config")
                object.append((key, value(child, depth: depth + 1, isText: isText, &left, &reader)))
            }
            return .object(JSONObject(object))
        }
        if let nodes = node.sequence {
            var array: [JSONValue] = []
            for child in nodes { array.append(value(child, depth: depth + 1, isText: isText, &left, &reader)) }
            return .array(array)
        }
        guard let scalar = node.scalar else { return .null }
        if reader.isQuoted(node) { return .string(scalar.string) }
        let value = ManifestScalar.value(plain: scalar.string)
        switch value {
        case .string: return .string(scalar.string)
        case .number where isText && value.description != scalar.string: return .string(scalar.string)
        // The check has found it where it has to be a number.
        case .number(let number) where !number.double.isFinite: return .string(scalar.string)
        default: return value
        }
    }
}
