import Foundation
import MeshEvents
import MeshEventsNATS

/// Lets a ``ToolControl`` install, change and remove tools on requests: any program can be run on the node that way.
public struct ToolInstallation: Sendable {
    /// Where relative paths of a specification start.
    public var directory: String
    /// The values of the variables of a specification (`${NAME}`).
    public var variables: [String: String]

    /// Creates one.
    ///
    /// - Parameters:
    ///   - directory: where relative paths of a specification start; `nil` for this process's working directory.
    ///   - variables: the values of the variables of a specification; `nil` for this process's environment.
    public init(directory: String? = nil, variables: [String: String]? = nil) {
        self.directory = directory ?? FileManager.default.currentDirectoryPath
        self.variables = variables ?? ProcessInfo.processInfo.environment
    }

    /// The specification of a request.
    ///
    /// - Throws: `invalidRequest`, `invalidSpecification`.
    func specification(of request: ToolRequest) throws(ToolRefusal) -> ToolSpecification {
        guard let json = request.specification else {
            throw ToolRefusal(
                .invalidRequest,
                "the action \(request.action.rawValue) needs the member specification: an object, as a tool of mesh.yaml"
            )
        }
        let tool: ToolSpecification
        do throws(ManifestError) {
            tool = try ToolDocument.specification(json, directory: directory, variables: variables)
        } catch {
            let mistakes = error.problems.map(\.message) + (error.omitted > 0 ? ["and \(error.omitted) more"] : [])
            let list = mistakes.joined(separator: "; ")
            throw ToolRefusal(.invalidSpecification, "the specification has mistakes: \(list)")
        }
        guard tool.name == request.tool else {
            throw ToolRefusal(
                .invalidRequest,
                "the request is about the tool \(SubjectRules.quoted(request.tool)), its specification about \(tool.name)"
            )
        }
        return tool
    }
}
