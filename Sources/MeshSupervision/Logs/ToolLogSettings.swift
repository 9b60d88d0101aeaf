/// How much of a tool's output its node keeps in files.
public struct ToolLogSettings: Sendable, Hashable {
    /// The numbers of files that are possible.
    public static let fileCounts = 2...100
    /// The sizes of a file that are possible, in bytes: 64 KiB to 1 GiB.
    public static let fileSizes = (64 << 10)...(1 << 30)

    /// Nothing is kept.
    public static var off: ToolLogSettings {
        var settings = ToolLogSettings()
        settings.isKept = false
        return settings
    }

    /// Whether output is kept in files.
    public var isKept = true
    /// The number of files; when the last one is full, the first one is removed. The default is 3.
    public var files: Int
    /// The size of a file in bytes. The default is 4 MiB.
    public var fileSize: Int

    /// Creates settings.
    public init(files: Int = 3, fileSize: Int = 4 << 20) {
        self.files = files
        self.fileSize = fileSize
    }

    /// The rule that the settings break, as the end of a sentence; `nil` when they keep all.
    var problem: String? {
        guard Self.fileCounts.contains(files) else { return "keeps 2 to 100 files of output, not \(files)" }
        guard Self.fileSizes.contains(fileSize) else {
            return "keeps files of output from 64 KiB to 1 GiB, not of \(fileSize) bytes"
        }
        return nil
    }
}
