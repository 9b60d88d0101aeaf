import FileReading
import Foundation
import MeshConcurrency
public import MeshEvents

/// Remembers when tools with schedules were last due, in a file, so that a node that starts knows what it has missed.
public final class ToolScheduleRecord: Sendable {
    /// The most tools that are remembered.
    private static let maximumTools = ToolManifest.maximumTools

    private let path: String?
    private let times: Locked<[String: Timestamp]>
    private let problem = Locked<String?>(nil)

    /// Reads the record.
    ///
    /// A file that cannot be read counts as empty: then nothing was missed.
    ///
    /// - Parameter file: the path of the file, which is created with its directory when something is noted; `nil` to
    ///   remember nothing beyond this process.
    public init(file: String? = nil) {
        path = file
        times = Locked(file.map { Self.read($0) } ?? [:])
    }

    private static func read(_ path: String) -> [String: Timestamp] {
        guard let text = (try? RegularFile(path).read())?.text, let data = try? EventData(json: text) else {
            return [:]
        }
        var times: [String: Timestamp] = [:]
        for (tool, time) in data["tools"]?.value.object ?? [:] where times.count < maximumTools {
            times[tool] = time.string.flatMap { try? Timestamp(rfc3339: $0) }
        }
        return times
    }

    /// When a tool was last due; `nil` when that is not known.
    public func last(_ tool: String) -> Timestamp? { times.withLock { $0[tool] } }

    /// Why the file could not be written last; `nil` when it could.
    public var writeProblem: String? { problem.withLock { $0 } }

    /// Notes when a tool was due; `nil` forgets it.
    func note(_ tool: String, _ time: Timestamp?) {
        times.withLock { times in
            guard times[tool] != time else { return }
            times[tool] = time
            // Those of tools that are gone.
            while times.count > Self.maximumTools, let oldest = times.min(by: { $0.value < $1.value }) {
                times[oldest.key] = nil
            }
            guard let path else { return }
            // Under the lock, so that an older state does not replace a newer one.
            let failure = Self.write(times, to: path)
            problem.withLock { $0 = failure }
        }
    }

    private static func write(_ times: [String: Timestamp], to path: String) -> String? {
        let tools = JSONObject(times.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value.description)) })
        let data = EventData(JSONObject([("tools", .object(tools))]))
        let url = URL(fileURLWithPath: path)
        do {
            try FileManager.default.createDirectory(
                at: url.deletingLastPathComponent(),
                withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700]
            )
            try Data(data.json.utf8).write(to: url, options: .atomic)
            return nil
        } catch {
            return "\(path) cannot be written: \(error.localizedDescription)"
        }
    }
}
