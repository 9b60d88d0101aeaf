import ArgumentParser

/// Whether emitted events have the attributes of CloudEvents too.
struct CloudEventOptions: ParsableArguments {
    @Flag(
        name: .customLong("cloudevents"),
        help: "Send the attributes of a CloudEvent beside each event, as header fields (ce-id, ce-source, ...)."
    )
    var isWanted = false
}
