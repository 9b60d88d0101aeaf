import ArgumentParser
import MeshEvents
import MeshEventsNATS

/// `mesh-events stream durable`.
struct StreamDurableCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "durable",
        abstract: "Create a durable subscription, for users who may not create it.",
        usage: "mesh-events stream durable NAME [PATTERN] [--from WHERE] [--max-deliveries N] [--ack-wait DURATION] "
            + "[--update]",
        discussion: """
            `mesh-events on --durable NAME` and programs create their durable subscription themselves. Where users \
            have roles (`mesh-events auth`), only admins may: a tool or a node may consume the durables that are \
            listed for it, once they exist. PATTERN selects their events, by default all. The options must be the same \
            as those of the tool.

            EXAMPLES
              mesh-events auth allow ~/mesh-auth tool --durable jobs      # then SIGHUP to the server
              mesh-events stream durable jobs 'user.job.*' --nkey ~/mesh-auth/admin.nk --tls-ca ~/mesh-auth/ca.pem
              mesh-events on 'user.job.*' --durable jobs -- ./work.sh     # the tool

            EXIT CODES: 69 also when NAME exists with other settings; --update changes them.
            """
    )

    @Argument(help: ArgumentHelp("The durable subscription's name.", valueName: "name"))
    var name: String

    @Argument(help: ArgumentHelp("Which events. Default: all.", valueName: "pattern"))
    var pattern: String?

    @Option(
        help: ArgumentHelp("Where a new NAME begins, as for `mesh-events on`. Default: beginning.", valueName: "where")
    )
    var from: String?

    @Option(
        name: .customLong("max-deliveries"),
        help: ArgumentHelp("After how many deliveries an event is given up. Default: 5.", valueName: "n")
    )
    var maximumDeliveries = DurableSubscription.Configuration().maximumDeliveries

    @Option(
        name: .customLong("ack-wait"),
        help: ArgumentHelp(
            "How long an event may stay unacknowledged before it is redelivered. Default: 30s.",
            valueName: "duration"
        )
    )
    var acknowledgementWait: String?

    @Flag(help: "When NAME exists with other settings, change them.")
    var update = false

    @OptionGroup(title: "Server") var connection: ConnectionOptions

    func run() async throws {
        let durable = DurableConfiguration(
            name: name,
            pattern: try PatternText.pattern(pattern),
            start: try OnStart.parse(from),
            acknowledgementWait: try DurationText.option("--ack-wait", acknowledgementWait)
                ?? DurableSubscription.Configuration().acknowledgementWait,
            maximumDeliveries: maximumDeliveries
        )
        try durable.validate()
        let isThere = try await StreamCommand.withStore(connection) { store in
            let isThere = try await store.report().consumers.contains { $0.name == name }
            _ = try await store.openDurable(durable, reconcile: update ? .update : .fail)
            return isThere
        }
        if isThere { Diagnostics.say("the durable \(name) existed already; it keeps its position") }
        try LineOutput.standard().write("\(name) takes \(SafeText.name(durable.pattern.subject))")
    }
}
