import MeshAlerts
import MeshLogging

/// Texts of alerts can hold what any program of the mesh wrote.
extension String {
    /// The text in one line, without characters that end a line, move a cursor or reorder text: they become JSON escapes.
    var oneLine: String { replacing("\t", with: " ").harmless }

    /// The text with its line breaks, and otherwise like ``oneLine``.
    var lines: String {
        split(separator: /\r\n|\n/, omittingEmptySubsequences: false).map { String($0).oneLine }.joined(separator: "\n")
    }

    /// The text, cut to so many UTF-16 units, in which most services count; a cut text ends with `…`.
    func cut(toUTF16 count: Int) -> String {
        cut(to: count) { $0.utf16.count }
    }

    /// The text, cut to a cost; a cut text ends with `…`, which is not more than 3 of it.
    func cut(to limit: Int, cost: (Unicode.Scalar) -> Int) -> String {
        var (total, end) = (0, unicodeScalars.startIndex)
        var isCut = false
        // Where the text ends when it has to be cut, to leave room for the ellipsis.
        for index in unicodeScalars.indices {
            total += cost(unicodeScalars[index])
            if total > limit {
                isCut = true
                break
            }
            if total <= limit - 3 { end = unicodeScalars.index(after: index) }
        }
        return isCut ? String(unicodeScalars[..<end]) + "…" : self
    }
}

extension AlertNotification {
    /// The title, for a target that shows text.
    var safeTitle: String { title.oneLine }
    /// The body, for a target that shows text.
    var safeBody: String { body.lines }

    /// The notification about one of its alerts.
    func about(_ alert: Alert) -> AlertNotification {
        AlertNotification(id: id, alerts: [alert], isTest: isTest, page: page)
    }
}
