import ArgumentParser

/// The option for how events are printed.
struct OutputOptions: ParsableArguments {
    @Flag(help: "Print one line of JSON.")
    var json = false
}
