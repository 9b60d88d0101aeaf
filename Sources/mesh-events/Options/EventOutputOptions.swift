import ArgumentParser

/// How events are printed.
enum EventFormat: String, ExpressibleByArgument, CaseIterable {
    /// Rows for people.
    case text
    /// The wire form, one event a line.
    case json
    /// CloudEvents 1.0 in JSON, structured mode, one event a line.
    case cloudevents

    /// What the lines for programs are; `nil` for rows.
    var lines: LineFormat? {
        switch self {
        case .text: nil
        case .json: .json
        case .cloudevents: .cloudevents
        }
    }
}

/// How a command prints the events it finds.
struct EventOutputOptions: ParsableArguments {
    @Flag(help: "Print one event a line as JSON, in the form in which this program emits; short for --format json.")
    var json = false

    @Option(
        help: ArgumentHelp(
            "How to print events: text, json, or cloudevents (CloudEvents 1.0 as JSON, one a line). Default: text.",
            valueName: "format"
        )
    )
    var format: EventFormat?

    /// The format that was asked for.
    var chosen: EventFormat { format ?? (json ? .json : .text) }

    func validate() throws {
        if json, let format, format != .json {
            throw ValidationError("--json and --format \(format.rawValue) exclude each other; give one")
        }
    }
}

/// What the lines of a file of events are.
enum LineFormat: String, ExpressibleByArgument, CaseIterable {
    /// Events as they travel.
    case json
    /// CloudEvents 1.0 in JSON, structured mode.
    case cloudevents
}
