import FileReading
import Foundation
package import Yams

/// Parses the YAML of a manifest into nodes, within limits.
package enum ManifestDocument {
    /// The most aliases (`*name`): a few nested ones could expand to billions of nodes.
    static let maximumAliases = 32

    /// The text of a manifest's file.
    ///
    /// - Throws: `ManifestError` when it cannot be read, is no regular file or not UTF-8, or other users may write or
    ///   replace it: a manifest decides which programs run.
    package static func read(_ path: String) throws(ManifestError) -> String {
        let file = RegularFile(path, maximumBytes: ToolManifest.maximumSize)
        let contents: RegularFile.Contents
        do throws(RegularFile.Failure) {
            contents = try file.read()
        } catch {
            throw ManifestError(file: path, Self.problem(error), isUnreadable: error.code == .unreadable)
        }
        guard !contents.isWritableByOthers else {
            throw ManifestError(
                file: path,
                "others may write this file, and so decide which programs the node runs; `chmod go-w` it, and own it"
            )
        }
        if let directory = file.replaceableDirectory {
            throw ManifestError(
                file: path,
                "others may write in the directory \(directory), and so replace this file; `chmod go-w` the directory"
            )
        }
        guard let text = contents.text else {
            let valid = String(decoding: contents.bytes, as: UTF8.self)
            let line = 1 + valid.prefix { $0 != "\u{FFFD}" }.filter { $0.isNewline }.count
            throw ManifestError(file: path, "the file is not UTF-8; save it as UTF-8", line: line, column: 1)
        }
        return text
    }

    private static func problem(_ failure: RegularFile.Failure) -> String {
        switch failure.code {
        case .missing: "there is no such file"
        case .forbidden: "the file may not be read"
        case .tooLarge: "the file is larger than 1 MiB, the most that a manifest may have"
        case .notRegular, .unreadable: "this \(failure.problem)"
        }
    }

    /// The absolute path of the directory that a file is in.
    package static func directory(of file: String) -> String {
        let absolute = file.hasPrefix("/") ? file : FileManager.default.currentDirectoryPath + "/" + file
        let directory = absolute[..<(absolute.lastIndex(of: "/") ?? absolute.endIndex)]
        return directory.isEmpty ? "/" : String(directory)
    }

    /// The root node.
    ///
    /// - Throws: `ManifestError`: the text is too large, empty, or no YAML.
    package static func compose(_ text: String, file: String) throws(ManifestError) -> Node {
        guard text.utf8.count <= ToolManifest.maximumSize else {
            throw ManifestError(file: file, "the manifest is larger than 1 MiB, the most that it may have")
        }
        guard !hasTooManyAliases(text) else {
            let advice = "more than \(maximumAliases) aliases (*name); write the values out"
            throw ManifestError(file: file, advice, line: 1, column: 1)
        }
        let root: Node?
        do {
            root = try Yams.Parser(yaml: text, resolver: .basic, encoding: .utf8).singleRoot()
        } catch let error as YamlError {
            throw problem(error, in: text, file: file)
        } catch {
            throw ManifestError(file: file, "the manifest cannot be read: \(error)")
        }
        guard let root else {
            throw ManifestError(file: file, "the manifest is empty; it needs at least 'tools:' or 'node:'")
        }
        return root
    }

    /// Whether a text may have too many aliases. It counts everything that looks like an alias if anything looks like
    /// an anchor, so the count may be too high, never too low.
    private static func hasTooManyAliases(_ text: String) -> Bool {
        var anchors = 0
        var aliases = 0
        var last: UInt8 = 0
        for byte in text.utf8 {
            let isName =
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
                    true
                default: byte >= 0x80
                }
            if isName, last == UInt8(ascii: "&") { anchors += 1 }
            if isName, last == UInt8(ascii: "*") { aliases += 1 }
            last = byte
        }
        return anchors > 0 && aliases > maximumAliases
    }

    private static func problem(_ error: YamlError, in text: String, file: String) -> ManifestError {
        switch error {
        case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _),
            .composer(let context, let problem, let mark, _):
            if let tab = tab(at: mark.line, in: text) {
                let advice = "a tab; YAML is indented with spaces only"
                return ManifestError(file: file, advice, line: mark.line, column: tab)
            }
            let place = context.map { " (\($0.text) that begins in line \($0.mark.line))" } ?? ""
            return ManifestError(
                file: file,
                "this is no valid YAML: \(problem)\(place)",
                line: mark.line,
                column: mark.column
            )
        case .duplicatedKeysInMapping(let duplicates, let context):
            let keys = duplicates.map { "'\($0)'" }.joined(separator: ", ")
            return ManifestError(
                file: file,
                "\(keys) is given more than once in the same object; keep one",
                line: context.mark.line,
                column: context.mark.column
            )
        case .reader(let problem, let offset, _, _):
            let line = offset.map { 1 + text.prefix($0).filter(\.isNewline).count } ?? 1
            return ManifestError(file: file, "a character that YAML forbids: \(problem)", line: line, column: 1)
        default:
            return ManifestError(file: file, "this is no valid YAML: \(error)")
        }
    }

    /// The column of a tab in the indentation of a line.
    private static func tab(at line: Int, in text: String) -> Int? {
        let lines = text.split(maxSplits: line, omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        guard lines.indices.contains(line - 1) else { return nil }
        let indentation = lines[line - 1].prefix { $0 == " " || $0 == "\t" || $0 == "-" }
        return indentation.firstIndex(of: "\t").map { indentation.distance(from: indentation.startIndex, to: $0) + 1 }
    }
}
