import Foundation

/// A node's settings and tools, from a file (`mesh.yaml`):
///
/// ```yaml
/// node: atelier
/// nats: nats://127.0.0.1:4222
/// health:
///   interval: 10s
/// tools:
///   - name: whisper
///     version: "1.0.0"
///     command: [python3, whisper.py, --port, 8080]
///     directory: tools/whisper
///     env: {LANG: C.UTF-8, HF_TOKEN: "${HF_TOKEN}"}
///     inherit: [CUDA_VISIBLE_DEVICES]
///     config: {model: base, beam: 5, credentials: "${WHISPER_CREDENTIALS:-none}"}
///     publish: [model]
///     secrets: [licence]
///     restart: on-failure
///     autostart: true
///     grace: 10s
///     crash_output: 20
///     logs: {files: 3, size: 4M}
///     ready: notify
///     health: {http: "http://127.0.0.1:8080/healthz", every: 10s, timeout: 2s, failures: 3}
///     watchdog: 30s
///     on_unhealthy: restart
/// ```
///
/// - `node`: the node's name.
/// - `nats`: the server's URL, a list of URLs, or an object with `url` (one or a list) and `creds` (a file).
/// - `auth`: instead of `nats`, a directory of `mesh-events auth init`: only its users may use the node's own server.
/// - `health.interval`: the time between two health events of the node, as `10s` or `1m30s`.
/// - `tools`: a list; `name` and `command` are needed.
/// - `command`: a list, the program first; a string is a program without arguments. No shell is involved: write
///   `[sh, -c, "…"]` to have one.
/// - `directory`: the tool's working directory; the manifest's own when it is left out. Relative paths here, in
///   `creds` and `auth`, and of a program with a `/` in it start from the manifest's directory.
/// - `crash_output`: how many of the last lines of output `tool.crashed` publishes, from 0 to 200.
/// - `logs`: in how many files of which size its output is kept on the node; `false` for none.
/// - `health`: the probe that the tool must pass while it runs: `http` (an address), `tcp` (`host:port`) or `exec` (a list,
///   as `command`); with `every` (10s), `timeout` (2s), and `failures` in a row (3).
/// - `ready`: how the tool shows that it is ready: `notify` (`READY=1` by sd_notify), or a probe, with `within` (60s) and
///   `every` (1s); `{notify: true, within: 5m}` is possible, too. Without it, a tool with `health` is ready when it has passed
///   that for the first time; `ready: {within: 5m}` alone says how long that may take.
/// - `watchdog`: the longest time between two signs of life (`WATCHDOG=1` by sd_notify).
/// - `on_unhealthy`: `restart` (the default) or `nothing`; see ``ToolHealth``.
/// - `restart`: `always`, `on-failure` (the default) or `never`, or `{policy, max, within, delay, max_delay}`: see
///   ``RestartPolicy``.
/// - `grace`: how long the tool may take to end before it is killed; or `stop: {signal, grace}`, see ``StopSignal``.
/// - `memory`, `nice`, `cpus`, `umask`, `limits`, `user`: what the tool may use, see ``ToolMemoryLimit`` and
///   ``ToolProcessSettings``.
/// - `after`: the tools after which it is started, see ``ToolDependencies``; `instances`: how many there are of it.
/// - `schedule`, `every`: when it is started, for a tool that runs and ends: see ``ToolSchedule``.
/// - `reload`: the signal at which the tool reads its configuration again (`mesh-events tool reload`), such as `HUP`. Without
///   it the tool cannot be reloaded: a signal that a program does not handle ends it.
/// - `env`: the tool's own variables; `inherit`: names of variables that it gets from its node's environment. Without
///   it, the tool gets only a few of them (``ToolEnvironment``).
/// - `publish`: keys of `config` whose values are published; other strings are not, see ``Redaction``. `secrets`: keys
///   whose values are not published, numbers included.
/// - `${NAME}` and `${NAME:-default}` in strings of `nats`, `auth`, `env` and `config` stand for environment variables; `$${`
///   stands for `${`. A variable that is not set and has no default is an error. The inserted value is never published,
///   and is not searched for variables itself.
///
/// A manifest decides which programs run: ``load(_:variables:)`` refuses one that other users may write.
public struct ToolManifest: Sendable, Hashable {
    /// The node's name; `nil` when the manifest has none.
    public var node: String?
    /// The server's URLs; empty when the manifest has none.
    public var servers: [String]
    /// The path of a credentials file; `nil` for none.
    public var credentials: String?
    /// The path of the directory with the users of the node's own server; `nil` when the manifest has none.
    public var authDirectory: String?
    /// The time between two health events of the node; `nil` when the manifest has none.
    public var healthInterval: Duration?
    /// The tools, in the order of the file; no two have the same name.
    public var tools: [ToolSpecification]

    /// The largest manifest, in bytes: 1 MiB.
    public static let maximumSize = 1 << 20
    /// The most tools: 1 000.
    public static let maximumTools = 1_000
    /// How large all strings with variables may be together after expansion, in bytes: 4 MiB.
    static let maximumExpansion = 4 << 20

    /// Creates a manifest.
    public init(
        node: String? = nil,
        servers: [String] = [],
        credentials: String? = nil,
        authDirectory: String? = nil,
        healthInterval: Duration? = nil,
        tools: [ToolSpecification] = []
    ) {
        self.node = node
        self.servers = servers
        self.credentials = credentials
        self.authDirectory = authDirectory
        self.healthInterval = healthInterval
        self.tools = tools
    }

    /// Reads a manifest from a file.
    ///
    /// - Parameters:
    ///   - path: The file's path; errors contain it.
    ///   - variables: The values of `${NAME}`; `nil` for this process's environment.
    /// - Throws: `ManifestError` with all mistakes, or when the file cannot be read, is no regular file, or other users
    ///   may write or replace it.
    public static func load(_ path: String, variables: [String: String]? = nil) throws(ManifestError) -> ToolManifest {
        try parse(try ManifestDocument.read(path), file: path, variables: variables)
    }

    /// Reads a manifest from text.
    ///
    /// - Parameters:
    ///   - text: The manifest in YAML.
    ///   - file: The file's path for errors; relative paths start from its directory.
    ///   - variables: The values of `${NAME}`; `nil` for this process's environment.
    /// - Throws: `ManifestError` with all mistakes.
    public static func parse(
        _ text: String,
        file: String = "mesh.yaml",
        variables: [String: String]? = nil
    ) throws(ManifestError) -> ToolManifest {
        let root = try ManifestDocument.compose(text, file: file)
        var reader = ManifestReader(
            directory: ManifestDocument.directory(of: file),
            variables: variables ?? ProcessInfo.processInfo.environment
        )
        let manifest = reader.manifest(root)
        guard reader.problems.isEmpty else {
            throw ManifestError(file: file, problems: reader.problems, omitted: reader.omittedProblems)
        }
        return manifest
    }
}
