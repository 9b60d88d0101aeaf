import ArgumentParser

/// `mesh-events alert`.
struct AlertCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "alert",
        abstract: "Tell people what happens in the mesh, and what does not.",
        discussion: """
            Rules say when an alert fires: at an event, at several within some time, in a state that lasts, or when an event \
            is missing. Targets are told when it fires and when it is over: ntfy, Slack, Discord, a webhook, an \
            Alertmanager, or any command. Rules and targets are in a file; `serve --config` reads them from its manifest:

              notify:
                phone: {ntfy: "https://ntfy.sh/my-lab", token: "${NTFY_TOKEN}"}
                team:  {slack: "${SLACK_WEBHOOK}"}
              alerts:
                - {name: tool-down, when: tool.crashed, count: 3, within: 10m,
                   resolve: tool.started, to: [phone, team]}
                - {name: node-down, when: node.unreachable, resolve: node.recovered,
                   severity: critical, repeat: 4h, to: phone}
                - {name: no-backup, missing: user.backup.done, every: 25h, to: phone}
                - {name: hot, when: node.health, where: {"resources.cpu": "> 0.95"},
                   for: 5m, to: team}

            `mesh-events init --alerts` writes such a file.

            EXAMPLES
              mesh-events alert check alerts.yaml             # is the file right?
              mesh-events alert try --config alerts.yaml --since 7d  # would have fired
              mesh-events alert test phone --config alerts.yaml
              mesh-events alert run --config alerts.yaml
              mesh-events alert list                          # what fires now
              mesh-events alert silence node-down node=pi --for 2h --reason 'new disk'
              mesh-events alert ack node-down
            """,
        subcommands: [
            AlertCheckCommand.self, AlertTestCommand.self, AlertTryCommand.self, AlertRunCommand.self,
            AlertListCommand.self, AlertShowCommand.self, AlertSilenceCommand.self, AlertAcknowledgeCommand.self,
        ]
    )
}

/// The option for the file with rules and targets.
struct AlertFileOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The file with `alerts` and `notify`. Default: mesh.yaml.", valueName: "file"))
    var config = ManifestFile.standardPath

    /// Reads the file.
    ///
    /// - Throws: `CommandFailure`. Several mistakes are printed before that, each on its own line.
    func manifest() throws -> AlertManifest { try AlertManifest.read(config) }
}
