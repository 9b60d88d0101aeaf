import ArgumentParser

/// How events are printed.
struct OutputOptions: ParsableArguments {
    @Flag(help: "Print one event a line as JSON, exactly as it travels.")
    var json = false
}
