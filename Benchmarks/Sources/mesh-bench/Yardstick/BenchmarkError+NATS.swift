import CNATS
import EventWork

extension BenchmarkError {
    /// Throws unless libnats is content.
    static func check(_ status: natsStatus, _ what: String) throws {
        guard status != NATS_OK else { return }
        throw BenchmarkError("libnats, \(what): \(String(cString: natsStatus_GetText(status)))")
    }
}
