import CNATS

/// A benchmark whose result would mean nothing.
struct BenchmarkError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }

    /// Throws unless libnats is content.
    static func check(_ status: natsStatus, _ what: String) throws {
        guard status != NATS_OK else { return }
        throw BenchmarkError("libnats, \(what): \(String(cString: natsStatus_GetText(status)))")
    }

    /// Throws unless every event arrived, once.
    static func check(_ tally: Tally, count: Int, dropped: UInt64) throws {
        let expected = count * (count - 1) / 2
        guard dropped == 0, tally.count == count, tally.sum == expected, tally.online == count else {
            throw BenchmarkError(
                "of \(count) events \(tally.count) arrived (\(tally.online) of them as sent), \(dropped) were dropped, "
                    + "their numbers add up to \(tally.sum) instead of \(expected)"
            )
        }
    }
}
