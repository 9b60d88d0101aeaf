import MeshDashboard
import MeshEvents
import MeshSupervision
import NATSClient
import Synchronization

/// Reads logs for the page, over its connection to the mesh.
final class PageLogs: LogSource {
    private let connection: NATSConnection
    private let isRefused = Atomic(false)

    init(connection: NATSConnection) { self.connection = connection }

    /// Whether the server has not refused it yet.
    var isAllowed: Bool { !isRefused.load(ordering: .relaxed) }

    func page(_ query: LogPageQuery) async throws(MeshEventsError) -> LogPageAnswer {
        let log = RemoteLogs(
            node: query.node,
            tool: query.tool,
            connection: connection,
            matching: LogQuery(
                lines: query.lines,
                text: query.text,
                streams: query.standardErrorOnly ? [.stderr] : Set(LogRecord.Stream.allCases)
            )
        )
        let page: RemoteLogs.Page
        do {
            page = try await log.page(after: query.after.map { LogPosition(epoch: $0.epoch, next: $0.next) })
        } catch {
            if error.code == .permissionDenied { isRefused.store(true, ordering: .relaxed) }
            throw error
        }
        return LogPageAnswer(
            lines: page.records.map {
                LogPageAnswer.Line(number: $0.number, time: $0.time, stream: $0.stream.rawValue, text: $0.line)
            },
            missed: page.missed,
            hasBegunAnew: page.hasBegunAnew,
            next: page.next.map { ($0.epoch, $0.next) }
        )
    }
}
