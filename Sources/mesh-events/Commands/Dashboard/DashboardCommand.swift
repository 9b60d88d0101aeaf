import ArgumentParser
import Foundation
import MeshEvents
import MeshEventsNATS

/// `mesh-events dashboard`.
struct DashboardCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dashboard",
        abstract: "Show the mesh and its events on a page, live.",
        usage: """
            mesh-events dashboard [--listen HOST:PORT] [--token-file FILE] [--allow-host NAME ...] [--trust FILE] \
            [--allow-emit]
            """,
        discussion: """
            A page for the browser: how nodes and tools are, the events as they come and those that are kept, how many of \
            which type there were when. It loads nothing from elsewhere. It reads the stream and creates and changes \
            nothing, unless --allow-emit is given. While the mesh keeps no stream, as one of Go nodes, it shows what comes, \
            which is not kept, and goes over to the stream as soon as there is one. `mesh-events serve --dashboard` has the \
            same page.

            WHO MAY SEE IT: without a token, whoever can reach 127.0.0.1 on this machine. To listen elsewhere, give a \
            token, which the page then asks for: in a file that only you can read, or in \
            \(DashboardOptions.tokenVariable), never as an argument, which others could see. It speaks HTTP without TLS: \
            put a proxy in front of it where others can listen, and name the host that browsers ask for with --allow-host; \
            without that, only addresses and localhost are answered (DNS rebinding). Make the token with `openssl rand`: \
            the right one is always let in, and wrong ones are answered late or their connections closed, which does not keep \
            a short one from being found. With a token, all but the page's own files, \
            /api/openapi.json and /healthz needs it. A login lasts 12 hours, until it is logged out, or the dashboard ends. \
            It is a cookie, which browsers send to every port of the host name, and a key that only this page can read: a \
            server on another port that you visit gets the cookie, and can do nothing with it alone. The cookie is not marked \
            Secure, also behind a proxy with TLS.

            WHO SAYS IT: with --trust each event is marked as signed by its node, unsigned, or forged; see `mesh-events \
            key`. How nodes and tools are is then what signed events alone say; without --trust, what all events say.

            FOR PROGRAMS: GET /api/events, /api/mesh, /api/histogram, /api/stream (server-sent events) and, with \
            --allow-emit, POST /api/events; /api/openapi.json describes them. They take the token as \
            `Authorization: Bearer TOKEN`. /healthz answers 200 when the mesh is heard, also while it keeps nothing, and 503 \
            when not: at once when the connection ends, and after some 20 seconds when it stays and nothing comes on it.

            EXAMPLES
              mesh-events dashboard
              mesh-events dashboard --listen 127.0.0.1:9000 --nats nats://broker.local:4222
              (umask 077; openssl rand -hex 24 > token)
              mesh-events dashboard --listen 0.0.0.0:8080 --token-file token --allow-host pi.local
              curl -N -H "Authorization: Bearer $(cat token)" http://192.168.1.7:8080/api/stream
            """
    )

    @Option(
        help: ArgumentHelp(
            "Where the page listens. Anything but this machine's loopback needs a token. Default: 127.0.0.1:8080.",
            valueName: "host:port"
        )
    )
    var listen: String?

    @OptionGroup(title: "Page") var page: DashboardOptions
    @OptionGroup var node: NodeOptions
    @OptionGroup(title: "Server") var connection: ConnectionOptions

    func run() async throws {
        let environment = ProcessInfo.processInfo.environment
        let configuration = try page.configuration(listen: listen, environment)
        DashboardOptions.warn(configuration, needsLogin: connection.logsIn(environment))
        let verification = try page.verification()
        let node = try node.name(environment)
        let stop = StopRequest()
        Signals.install(stop)
        _ = try await stop.race {
            let transport = try await connection.connect(name: "mesh-events dashboard")
            let report = Task { await ConnectionReport(connection: transport.connection).run() }
            defer { report.cancel() }
            let emitter =
                page.allowsEmit
                ? try await PersistentEventBus.open(
                    transport: transport,
                    node: node,
                    configuration: connection.persistence(),
                    logger: Silence.logger
                ) : nil
            try await DashboardRun(
                configuration,
                connection.store(transport),
                transport,
                verification: verification,
                emitter: emitter
            ).run()
            await transport.close()
        }
        Diagnostics.clearInterrupt()
    }
}
