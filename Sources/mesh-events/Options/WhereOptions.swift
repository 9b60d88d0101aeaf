import ArgumentParser
import MeshEvents

/// The option for conditions on the data of events.
struct WhereOptions: ParsableArguments {
    @Option(
        name: .customLong("where"),
        help: ArgumentHelp(
            "Only events whose data fit, like 'resources.cpu > 0.9', 'tool = whis*', 'tool in a, b' or '!error'; of several "
                + "all have to hold.",
            valueName: "condition"
        )
    )
    var conditions: [String] = []

    /// The filter with these conditions.
    ///
    /// - Throws: `CommandFailure`, usage.
    func filter() throws -> EventFilter {
        do throws(MeshEventsError) {
            return try EventFilter(conditions)
        } catch {
            throw CommandFailure(.usage, "--where: \(error.message)")
        }
    }
}

/// Which of the events of its patterns a command is about.
struct EventSelection: Sendable {
    /// The node that they are about; `nil` for all.
    var node: String?
    /// What their data have to be.
    var filter = EventFilter()

    /// Whether an event is one of them.
    func includes(_ event: Event) -> Bool {
        if let node, event.affectedNode != node { return false }
        return filter.matches(event)
    }
}
