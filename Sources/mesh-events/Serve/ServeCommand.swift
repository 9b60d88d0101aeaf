import ArgumentParser
import FileReading
import Foundation
import LocalNATSServer
import MeshAuth
import MeshDashboard
import MeshEvents
import MeshMetrics
import MeshSupervision
import Synchronization

/// `mesh-events serve`.
struct ServeCommand: SignalHandlingCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Run a node of the mesh, with its own server unless one is named.",
        usage: """
            mesh-events serve [--config FILE] [--port N] [--store-dir DIR] [--for DURATION] [--node NAME] \
            [--sign-key FILE] [--cloudevents] [--json | --format FORMAT]
            mesh-events serve --dashboard [--dashboard-listen HOST:PORT] [...]
            mesh-events serve --metrics HOST:PORT [--metrics-token-file FILE] [...]
            mesh-events serve --trust FILE [...]
            mesh-events serve --auth DIR [--listen ADDRESS] [...]
            mesh-events serve --check [--config FILE]
            """,
        discussion: """
            Opens the stream that keeps events, announces the node (node.joined), emits its health every 10 seconds \
            (node.health), runs its tools, prints every event as it arrives, and leaves (node.left) on Ctrl-C or \
            SIGTERM; a second Ctrl-C ends it at once.

            TOOLS: --config names a manifest; the default is mesh.yaml of the present directory, if it exists. \
            `mesh-events init` writes one; --check says whether it is right. Each \
            tool is a program that the node starts, supervises, and restarts when it ends unexpectedly; its output \
            appears on standard error after its name, and is kept in files (--log-directory). `mesh-events tool` controls tools \
            from other machines, and reads what they have written; with --allow-install it installs, changes and removes \
            them, too, until the manifest is read again. \
            On SIGHUP the node reads the manifest again: it adds, changes and removes tools accordingly; unchanged \
            ones run on, changed ones that have failed are started, those that a user has stopped are not. All tools end with the node, even when it is killed.

              node: atelier
              nats: nats://127.0.0.1:4222    # without it: a server of its own
              # auth: mesh-auth              # instead of nats: who may use that server
              health: {interval: 10s}
              tools:
                - name: whisper
                  version: "1.4.0"
                  command: [python3, whisper.py, --port, 8080]
                  directory: tools/whisper   # relative to the manifest
                  env: {HF_TOKEN: "${HF_TOKEN}"}
                  inherit: [http_proxy]      # further variables of the node's environment
                  config: {model: base}      # JB_TOOL_CONFIG; its numbers are published
                  publish: [model]           # the strings of these keys are published, too
                  secrets: [licence]         # nothing of these keys is published
                  restart: on-failure        # or always, never
                  autostart: true            # false: started by a user or a schedule alone
                  grace: 10s                 # from SIGTERM to SIGKILL
                  reload: HUP                # the signal of `mesh-events tool reload`
                  crash_output: 20           # last lines of output in tool.crashed
                  logs: {files: 3, size: 4M} # its output is kept so; false: it is not
                  ready: notify              # READY=1 by sd_notify; or a check as health
                  health: {http: "http://127.0.0.1:8080/healthz", every: 10s, failures: 3}
                                             # timeout: 2s; {tcp: HOST:PORT}, {exec: […]}
                                             # without `ready`, ready at the first success
                  watchdog: 30s              # the longest time between two WATCHDOG=1
                  on_unhealthy: restart      # or nothing
                  after: [db]                # started when db runs, stopped before it
                  memory: {max: 8G}          # ended when it uses more, and restarted
                - name: backup
                  command: [./backup.sh]
                  schedule: "0 3 * * *"      # or every: 6h; each run ends in tool.finished

            Also: restart: {policy, max, within, delay, max_delay}, stop: {signal, grace}, nice, cpus, umask, limits, user, \
            instances; the guide's "Limits, order and schedules" explains them.

            A tool gets PATH, HOME, TMPDIR, TZ, LANG and LC_* of the node's environment, the variables that the \
            manifest names with `inherit` and `env`, the variables for the login, and PYTHONUNBUFFERED=1; nothing \
            else. The manifest decides which programs run, so one that other users may write is refused.

            A tool finds the mesh in its environment (JB_NATS_URL, JB_NODE_NAME, JB_TOOL_NAME, JB_TOOL_CONFIG), so \
            that it can run `mesh-events emit user.done file=a.wav` without options.

            Without --nats, JB_NATS_URL, --context and NATS_CONTEXT the node runs a nats-server on this machine, also \
            when a context is selected, and prints its URL for other programs on this machine. It needs the nats-server program (apt-get install nats-server, or brew install \
            nats-server). When that server ends unexpectedly, the node restarts it. With a URL the node joins that \
            server's mesh instead. For a mesh of several machines, run NATS on one of them and name it.

            ACCESS: that server listens on this machine only; --listen changes that. Every client that reaches it may \
            do everything, unless --auth, or `auth` in the manifest, names a directory of `mesh-events auth init`. Then every user needs a key, \
            uses TLS, and may do what its role allows. The node logs in as the directory's user `node`, its tools as \
            `tool`, who may emit user events only: with the key, or in languages without NKeys with the password in \
            JB_NATS_URL, trusting SSL_CERT_FILE. Only a server from 2.12 on enforces all that; an older one lets every \
            user who may emit empty the stream. On SIGHUP the node reads the users again. On a server that you do not \
            run, give the tools their own key with --tool-nkey; without it they log in as the node.

            HISTORY: the stream keeps 24 hours and 10000 events, as Go nodes expect it. Beside it the node creates an \
            archive, a second stream on the same server that keeps 7 days, and of each event type the newest 20000; \
            --no-archive, or MESH_EVENTS_ARCHIVE=none in the environment, leaves it out. `mesh-events stream` shows \
            and changes both.

            --trust marks each event as signed by its node, unsigned or forged, in the output and on the page. The \
            status of nodes and tools, and the check for another node with this one's name, then use signed events \
            alone.

            One node of the mesh keeps its state, so that `status` knows what the stream has dropped, and announces \
            nodes that fall silent (node.unreachable, node.recovered): any node does when no other one does, unless \
            --no-keep is given.

            When the manifest has `alerts`, the node watches the mesh by them whenever no other process does; see \
            `mesh-events alert --help`.

            --dashboard shows the mesh on a web page as well, at http://127.0.0.1:8080/ or the address of \
            --dashboard-listen; --users lets its users log in, --https-cert and --https-key serve it and the metrics over \
            HTTPS, and both are read again on SIGHUP; see `mesh-events dashboard --help`.

            Where NOTIFY_SOCKET is set, as by systemd for a unit with Type=notify, the node says when it has joined, reads \
            its manifest again and stops, and how its tools are; with WATCHDOG_USEC it gives signs of life.

            METRICS: --metrics answers Prometheus at /metrics on an address, such as 127.0.0.1:9464: nodes and tools, \
            their figures, the stream, events by type, the alerts that fire, and what the node itself counts. Any \
            address other than loopback needs --metrics-token-file. The page has them at /metrics, too. A scraper \
            that hangs or is away makes no difference to the node. The guide's "Metrics" has a list, alert rules and a \
            Grafana dashboard.

            EXAMPLES
              mesh-events serve
              mesh-events serve --dashboard
              mesh-events serve --metrics 127.0.0.1:9464
              mesh-events serve --auth ~/mesh-auth --listen 0.0.0.0
              mesh-events serve --node pi --port 4333 --store-dir /var/lib/mesh
              mesh-events serve --check
              mesh-events serve --config lab.yaml
              mesh-events serve --for 15s --json
              mesh-events serve --nats nats://broker.local:4222 --creds ~/pi.creds
              mesh-events serve --node pi --sign-key pi.nk   # its events are signed
            """
    )

    @Option(
        name: .customLong("config"),
        help: ArgumentHelp(
            "The manifest with the node's settings and tools. Default: \(ManifestFile.standardPath), if it exists.",
            valueName: "file"
        )
    )
    var manifest: String?

    @Flag(
        name: .customLong("check"),
        help: "Read the manifest and what it names, say what it means, and end: nothing is started or changed."
    )
    var checksOnly = false

    @Option(help: ArgumentHelp("The local server's port; 0 takes a free one. Default: 4222.", valueName: "n"))
    var port: Int?

    @Option(
        name: .customLong("store-dir"),
        help: ArgumentHelp(
            "Where the local server keeps events. Default: a directory for the port under $XDG_DATA_HOME, else under "
                + "~/.local/share/mesh-events; with --port 0 a temporary one.",
            valueName: "dir"
        )
    )
    var storeDirectory: String?

    @Option(
        name: .customLong("for"),
        help: ArgumentHelp("Leave after this time: 15s, 10m, 2h30m.", valueName: "duration")
    )
    var duration: String?

    @Option(help: ArgumentHelp("Accept only the users in this directory of `mesh-events auth`.", valueName: "dir"))
    var auth: String?

    @Option(
        help: ArgumentHelp(
            "The address that the local server listens on. Default: 127.0.0.1, this machine only.",
            valueName: "address"
        )
    )
    var listen: String?

    @Option(
        name: .customLong("tool-nkey"),
        help: ArgumentHelp("Have tools log in with the NKey seed in this file, not as the node.", valueName: "file")
    )
    var toolKey: String?

    @Option(
        name: .customLong("log-directory"),
        help: ArgumentHelp(
            "Where the output of tools and the node's own log are kept. Default: logs in $STATE_DIRECTORY, else "
                + "mesh-events/logs in $XDG_STATE_HOME, else in ~/.local/state.",
            valueName: "dir"
        )
    )
    var logDirectory: String?

    @Flag(
        name: .customLong("allow-install"),
        help:
            "Let `mesh-events tool` install, upgrade and remove tools: any program can be run on this machine that way."
    )
    var allowsInstall = false

    @Flag(name: .customLong("no-archive"), help: "Create no archive of the stream.")
    var noArchive = false

    @Flag(help: "Show the mesh on a web page, too.")
    var dashboard = false

    @Flag(name: .customLong("no-keep"), help: "Never keep the state of the mesh; see `mesh-events keep`.")
    var keepsNothing = false

    @Option(
        name: .customLong("dashboard-listen"),
        help: ArgumentHelp("The page's address; see --listen of `mesh-events dashboard`.", valueName: "host:port")
    )
    var dashboardAddress: String?

    @OptionGroup var output: EventOutputOptions
    @OptionGroup var node: NodeOptions
    @OptionGroup var signing: SigningOptions
    @OptionGroup var cloudEvents: CloudEventOptions
    @OptionGroup(title: "Page, with --dashboard; --trust also without") var page: DashboardOptions
    @OptionGroup(title: "Metrics, with --metrics or --dashboard") var metrics: MetricsOptions
    @OptionGroup(title: "Server") var connection: ConnectionOptions

    func run() async throws {
        let manager = ServiceManager.ofThisProcess()
        let environment = ProcessInfo.processInfo.environment
        let duration = try DurationArgument.option("--for", duration)
        if !dashboard, let option = dashboardAddress == nil ? page.firstOption : "--dashboard-listen" {
            throw CommandFailure(.usage, "\(option) is about the page: give --dashboard too")
        }
        if !dashboard, metrics.address == nil, let option = metrics.firstOption {
            throw CommandFailure(.usage, "\(option) is about metrics: give --metrics or --dashboard too")
        }
        if !dashboard, metrics.address == nil, let option = page.firstHTTPSOption {
            throw CommandFailure(
                .usage,
                "\(option) is about the page and the metrics: give --dashboard or --metrics too"
            )
        }
        if checksOnly { return try await check(environment) }
        let listeners = (dashboard ? 1 : 0) + (metrics.address == nil ? 0 : 1)
        let descriptors = DescriptorLimit.node + listeners * DescriptorLimit.page
        try DescriptorLimit.require(descriptors, for: "a node")
        let plan = try await plan(environment, manager)
        ProcessOne.warn()
        DescriptorLimit.warn(descriptors, tools: await plan.manifest?.present.tools.count ?? 0)
        let stop = StopRequest()
        let present = Mutex(PresentSession())
        let onHangup: @Sendable () -> Void = { present.withLock { $0.reloading() }?.reload() }
        // A manager of services means a reload by it, also where nothing is to be read.
        let isReload = plan.manifest != nil || auth != nil || plan.access.hasFiles || manager.isThere
        Signals.install(stop, onHangup: isReload ? onHangup : nil)
        OutputWatch.install(stop)
        guard let node = try await stop.race({ try await NodeSession.start(plan) }) else { return }
        if present.withLock({ $0.begin(node) }) { node.reload() }
        try await stop.withTimeLimit(duration) {
            try await node.run(stop, EventPrinter(output.chosen, marks: page.trust != nil, stop: stop))
        }
    }

    /// The session, once there is one, and whether a reload is due before that.
    private struct PresentSession {
        private var node: NodeSession?
        private var isReloadDue = false

        /// A reload was requested.
        ///
        /// - Returns: what reloads; `nil` while there is none, which then does it first.
        mutating func reloading() -> NodeSession? {
            if node == nil { isReloadDue = true }
            return node
        }

        /// The node has begun.
        ///
        /// - Returns: whether it has to reload: the files were read before the request.
        mutating func begin(_ node: NodeSession) -> Bool {
            self.node = node
            return isReloadDue
        }
    }

    /// The plan from the options, the manifest and the environment; for each value the first of them counts.
    private func plan(_ environment: [String: String], _ manager: ServiceManager) async throws -> NodeSession.Plan {
        let file = try manifestFile()
        let manifest = await file?.present
        var connection = connection
        let name = try node.node == nil ? manifest?.node ?? node.name(environment) : node.name(environment)
        let trusted = environment["SSL_CERT_FILE"].flatMap { $0.isEmpty ? nil : $0 }
        let access = try users(manifest, environment).map { users in
            try ServeAccess(users.directory, node: name, systemAuthorities: trusted)
        }
        if let access {
            connection.nkey = access.nodeKey
            connection.certificateAuthority = connection.certificateAuthority ?? access.directory.authorityFile
        }
        // A context that an option names is nearer than the manifest, too.
        if !connection.namesLogin, connection.context == nil { connection.creds = manifest?.credentials }
        let servers = namesServer ? nil : manifest.flatMap { $0.servers.isEmpty ? nil : $0.servers }
        if let toolKey, let problem = RegularFile(toolKey).problem {
            throw CommandFailure(.usage, "the file of --tool-nkey, \(toolKey), cannot be read: it \(problem)")
        }
        let login: ToolLogin =
            if let toolKey {
                .ownKey(toolKey, password: nil)
            } else if let access {
                .ownKey(access.toolKey, password: access.toolLogin)
            } else {
                .asNode(passwordOrToken: connection.passwordOrToken(environment))
            }
        var variables = try login.variables(connection, environment)
        // For tools in other languages, which do not read MESH_EVENTS_TLS_CA.
        if let access { variables["SSL_CERT_FILE"] = access.trustBundle }
        // Tools with a key of their own do not get the node's signing key.
        if case .asNode = login, let path = signing.file(environment) {
            variables[SigningOptions.variable] = AbsolutePath.of(path)
        }
        // So that a tool finds `mesh-events` even when it is not installed.
        if let executable = Bundle.main.executablePath, let slash = executable.lastIndex(of: "/") {
            variables["PATH"] = "\(environment["PATH"] ?? "/usr/bin:/bin"):\(executable[..<slash])"
        }
        let verification = try page.verification()
        var emitting = try signing.busConfiguration(cloudEvents)
        let registry = MetricRegistry()
        let bounds = try metrics.source(registry)
        let pageAccess = try page.access()
        let metricsServer = try metrics.server(pageAccess, environment)
        var pageConfiguration =
            dashboard ? try page.configuration(listen: dashboardAddress, pageAccess, environment) : nil
        pageConfiguration?.metricsToken = try metrics.token(environment)
        pageConfiguration?.metrics = bounds
        if pageConfiguration != nil || metricsServer != nil { emitting.metrics = registry }
        let server = try server(environment, manifest: servers, access: access)
        let addresses =
            switch server {
            case .local: ConnectionOptions.defaultURL
            case .named(let addresses): addresses
            }
        let needsLogin = connection.logsIn(environment, at: addresses)
        if let pageConfiguration { DashboardOptions.warn(pageConfiguration, needsLogin: needsLogin) }
        MetricsOptions.warn(metricsServer, needsLogin: needsLogin)
        return NodeSession.Plan(
            node: name,
            connection: connection,
            server: server,
            archives: !noArchive,
            manifest: file,
            alerts: try file.map { AlertReload($0.path, try AlertManifest.read($0.path)) },
            toolLogin: login,
            toolVariables: variables,
            emitting: emitting,
            verification: verification,
            page: pageConfiguration.map {
                NodeSession.Plan.Page(
                    configuration: $0,
                    allowsEmit: page.allowsEmit,
                    allowsControl: page.allowsControl
                )
            },
            access: pageAccess,
            metrics: metricsServer.map { NodeSession.Plan.Metrics(server: $0, bounds: bounds) },
            installation: allowsInstall ? ToolInstallation(directory: file?.directory) : nil,
            keeps: !keepsNothing,
            logDirectory: try LogPlace.directory(logDirectory, environment),
            manager: manager
        )
    }

    /// Whether an option names the server: then what the manifest says of servers does not count.
    var namesServer: Bool { connection.servers != nil || connection.context != nil }

    /// The directory with the users of the local server, of the option or the manifest; `nil` for none.
    ///
    /// - Throws: `CommandFailure`, usage, for what cannot go with it.
    func users(_ manifest: ToolManifest?, _ environment: [String: String]) throws -> ServeUsers? {
        let users: ServeUsers
        if let auth {
            users = ServeUsers(directory: auth, source: "--auth")
        } else if !namesServer, let directory = manifest?.authDirectory {
            users = ServeUsers(directory: directory, source: "`auth` of the manifest")
        } else {
            return nil
        }
        let named = try connection.nodeServers(environment)?.source
        if let server = named ?? (manifest?.servers.isEmpty == false ? "the manifest" : nil) {
            throw CommandFailure(
                .usage,
                "\(users.source) is about a server of the node's own, but \(server) names another; leave one of them out"
            )
        }
        guard !connection.namesLogin else {
            throw CommandFailure(.usage, "\(users.source) gives the node's login; leave other login options out")
        }
        guard !page.allowsControl else {
            throw CommandFailure(
                .usage,
                "with \(users.source) the node's own user controls no tools: run `mesh-events dashboard --allow-control` "
                    + "with the key of an operator or an admin"
            )
        }
        return users
    }

    /// The manifest of the option, else that of the present directory; `nil` for none.
    func manifestFile() throws -> ManifestFile? {
        if let manifest { return try ManifestFile(path: manifest) }
        guard FileManager.default.fileExists(atPath: ManifestFile.standardPath) else { return nil }
        Diagnostics.say("the tools are those of \(ManifestFile.standardPath)")
        return try ManifestFile(path: ManifestFile.standardPath)
    }
}
