import ArgumentParser

/// The option for how events are printed.
struct OutputOptions: ParsableArguments {
    @Flag(help: "Print one event a line as JSON, in the form in which it was emitted.")
    var json = false
}
