public import MeshEvents
package import MeshEventsNATS
public import MeshEventsSigning
public import NATSClient
import ServiceNotification

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

extension MeshTool {
    /// The environment variables that a node gives to the tools it starts.
    ///
    /// | variable | what |
    /// | --- | --- |
    /// | `JB_NATS_URL` | the server or servers, e.g. `nats://user:password@host:4222`; required |
    /// | `JB_NODE_NAME` | the node's name in the mesh; required |
    /// | `JB_TOOL_NAME` | the tool's name; when missing, that of the executable |
    /// | `JB_TOOL_CONFIG` | the tool's configuration, a JSON object; when missing, empty |
    /// | `JB_NATS_CREDS` | a credentials file to log in with, instead of what the URL holds |
    /// | `MESH_EVENTS_NKEY` | a file with the seed of an NKey to log in with, instead of what the URL holds |
    /// | `MESH_EVENTS_TOKEN` | a token to log in with, instead of what the URL holds |
    /// | `MESH_EVENTS_SIGN_KEY` | a file with the node's NKey seed, to sign the tool's events with |
    /// | `MESH_EVENTS_TLS_CA` | a PEM file with the authorities to trust |
    /// | `MESH_EVENTS_TLS_CERT`, `MESH_EVENTS_TLS_KEY` | PEM files with a certificate and its key, when the server asks |
    /// | `MESH_EVENTS_WS_HEADERS` | a file with header fields for a `ws://` or `wss://` server |
    /// | `MESH_EVENTS_STREAM` | the name of the stream that keeps the events; when missing, `MESH_EVENTS` |
    /// | `MESH_EVENTS_JS_DOMAIN` | the JetStream domain of the servers that keep the stream, behind a leaf node |
    /// | `MESH_EVENTS_JS_PREFIX` | the prefix of the subjects of JetStream's API, instead of a domain |
    /// | `MESH_EVENTS_INBOX_PREFIX` | the prefix of the subjects of replies |
    /// | `NOTIFY_SOCKET` | the socket on which the node hears whether the tool works, see ``MeshTool/ready()`` |
    /// | `WATCHDOG_USEC` | the longest time between two signs of life, in microseconds, see ``MeshTool/alive()`` |
    /// | `WATCHDOG_PID` | the process that they must come from; a tool that is another one gives none |
    public struct Environment: Sendable {
        /// Where the servers are.
        public let servers: [ServerAddress]
        /// How to log in.
        public let authentication: NATSAuthentication
        /// The TLS configuration; `nil` when the address alone decides.
        public let tls: NATSConnection.TLSConfiguration?
        /// Header fields of the request for a WebSocket; secret.
        public let webSocketHeaders: [String: String]
        /// The file they come from, which is read again at every attempt to connect.
        let webSocketHeaderFile: String?
        /// The stream's name and how to reach it.
        package let place: StreamPlace
        /// The node's name in the mesh.
        public let node: String
        /// The tool's name.
        public let tool: String
        /// The tool's configuration: an object.
        public let configuration: EventData
        /// The node's key, with which the tool's events are signed; `nil` when they are not.
        public let signingKey: NodeSigningKey?
        /// The address of the node's socket for ``MeshTool/ready()`` and the like; `nil` when there is none.
        public let notifySocket: String?
        /// The longest time between two calls of ``MeshTool/alive()``; `nil` when none are expected.
        public let watchdog: Duration?

        /// Reads environment variables.
        ///
        /// - Throws: `invalidArgument`, naming the variable that is missing or wrong and what it should hold, never
        ///   what it holds.
        public init(_ variables: [String: String]) throws(MeshEventsError) {
            let url = try Self.required("JB_NATS_URL", "the server, e.g. nats://127.0.0.1:4222", variables)
            node = try Self.required("JB_NODE_NAME", "the name of the node the tool runs on", variables)
            if let tool = variables["JB_TOOL_NAME"], !tool.isEmpty {
                self.tool = tool
            } else {
                tool = Self.executableName
            }
            do throws(NATSError) {
                servers = try ServerAddress.list(url)
            } catch {
                throw Self.invalid("JB_NATS_URL", "the server, e.g. nats://127.0.0.1:4222", error.message)
            }
            do throws(NATSError) {
                authentication = try LoginOptions().authentication(variables)
                tls = try LoginOptions().tls(variables)
                webSocketHeaders = try WebSocketHeaderFile.fields(in: variables)
                webSocketHeaderFile = variables[WebSocketHeaderFile.variable].flatMap { $0.isEmpty ? nil : $0 }
                place = try StreamPlace(variables)
            } catch {
                throw MeshEventsError(error)
            }
            configuration = try Self.configuration(variables["JB_TOOL_CONFIG"] ?? "")
            signingKey = try Self.signingKey(variables["MESH_EVENTS_SIGN_KEY"] ?? "")
            let notify = NotifyVariables(variables)
            (notifySocket, watchdog) = (notify.socket, notify.watchdog)
        }

        private static func configuration(_ text: String) throws(MeshEventsError) -> EventData {
            guard text.contains(where: { !$0.isWhitespace }) else { return .empty }
            do throws(MeshEventsError) {
                let data = try EventData(json: text)
                return data.isNull ? .empty : data
            } catch {
                throw invalid("JB_TOOL_CONFIG", "the tool's configuration as a JSON object", error.message)
            }
        }

        private static func signingKey(_ file: String) throws(MeshEventsError) -> NodeSigningKey? {
            guard !file.isEmpty else { return nil }
            do throws(MeshEventsError) {
                return try NodeSigningKey(file: file)
            } catch {
                throw invalid("MESH_EVENTS_SIGN_KEY", "a file with the key that signs the tool's events", error.message)
            }
        }

        private static func required(
            _ name: String,
            _ what: String,
            _ variables: [String: String]
        ) throws(MeshEventsError) -> String {
            if let value = variables[name], value.contains(where: { !$0.isWhitespace }) { return value }
            throw MeshEventsError(
                .invalidArgument,
                "the environment variable \(name) is missing: it must hold \(what). "
                    + "A node sets it for the tools it starts; set it yourself to run the tool alone"
            )
        }

        private static func invalid(_ name: String, _ what: String, _ problem: String) -> MeshEventsError {
            MeshEventsError(.invalidArgument, "the environment variable \(name) must hold \(what): \(problem)")
        }

        private static var executableName: String {
            let name = CommandLine.arguments.first?.split(separator: "/").last.map(String.init) ?? ""
            return name.isEmpty ? "tool" : name
        }
    }
}
