import MeshEvents
import Yams

extension ManifestReader {
    /// The number of lines that `tool.crashed` has.
    mutating func crashOutput(_ node: Node) -> Int? {
        integer(node, "crash_output", in: 0...CrashOutput.maximumLines, "lines")
    }

    /// How much of a tool's output is kept in files: `false`, or an object with `files` and `size`.
    mutating func logs(_ node: Node) -> ToolLogSettings {
        var settings = ToolLogSettings()
        guard node.mapping != nil else {
            if let scalar = node.scalar, !isQuoted(node),
                case .bool(let isKept) = ManifestScalar.value(plain: scalar.string)
            {
                settings.isKept = isKept
            } else {
                report("logs must be false, or an object such as {files: 3, size: 4M}, not \(kind(of: node))", at: node)
            }
            return settings
        }
        for (key, value) in members(of: node, "logs", known: ["files", "size"]) {
            switch key {
            case "files":
                settings.files = integer(value, "logs.files", in: ToolLogSettings.fileCounts, "files") ?? settings.files
            case "size":
                settings.fileSize = size(value, "logs.size", in: ToolLogSettings.fileSizes) ?? settings.fileSize
            default: break
            }
        }
        return settings
    }

    private mutating func integer(_ node: Node, _ what: String, in range: ClosedRange<Int>, _ unit: String) -> Int? {
        guard let scalar = node.scalar, !isQuoted(node), let number = Int(scalar.string), range.contains(number) else {
            report(
                "\(what) must be a number of \(unit) from \(range.lowerBound) to \(range.upperBound), not \(kind(of: node))",
                at: node
            )
            return nil
        }
        return number
    }

    /// A size in bytes.
    private mutating func size(_ node: Node, _ what: String, in range: ClosedRange<Int>) -> Int? {
        let size = node.scalar.flatMap { ManifestSize.parse($0.string) }.flatMap { Int(exactly: $0) }
        guard let size, range.contains(size) else {
            report("\(what) must be a size from 64K to 1G, such as 4M, not \(kind(of: node))", at: node)
            return nil
        }
        return size
    }
}
