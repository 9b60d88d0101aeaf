import FileReading
import MeshConcurrency
public import MeshEvents
import NIOCore
public import ServiceLifecycle

#if TLS
    import NIOSSL
#endif

/// The certificate that the page and the metrics are served with over HTTPS, and its key: two files in PEM.
///
/// ```swift
/// let certificate = try ServerCertificate(file: "fullchain.pem", keyFile: "privkey.pem")
/// let dashboard = try Dashboard(store: store, configuration: .init(certificate: certificate))
/// let services: [any Service] = [certificate, dashboard]
/// ```
///
/// As a service it looks at the files every few seconds and reads new ones, for the connections that begin from then on; so
/// that a renewal, as by certbot, needs no restart. New files that cannot be used change nothing.
///
/// Clients need TLS 1.2 or newer. A program that is built without the trait `TLS` has no HTTPS: there
/// ``init(file:keyFile:onChange:)`` throws.
public final class ServerCertificate: Service {
    /// The time between two looks at the files.
    private static let interval: Duration = .seconds(5)

    private let file: String
    private let keyFile: String
    private let interval: Duration
    private let onChange: @Sendable (Result<Timestamp, MeshEventsError>) -> Void
    private let state: Locked<State>

    private struct Versions: Equatable {
        let certificate: FileVersion?
        let key: FileVersion?
    }

    private struct State {
        var context: TLSServerContext
        /// The files that are in use, and files that could not be used, when that was told.
        var known: Versions
        /// Files that could not be used at the last look: a renewal may have written only one of them yet.
        var suspect: Versions?
    }

    /// Reads the files.
    ///
    /// - Parameters:
    ///   - file: the certificate, and behind it those of its authorities, up to one that clients know.
    ///   - keyFile: the key, without a passphrase; only its owner may read it.
    ///   - onChange: is called when ``run()`` has read new files, with the end of the certificate's validity, or with why they
    ///     cannot be used.
    /// - Throws: `invalidArgument`; the message names the file, and what to do.
    public convenience init(
        file: String,
        keyFile: String,
        onChange: @escaping @Sendable (Result<Timestamp, MeshEventsError>) -> Void = { _ in }
    ) throws(MeshEventsError) {
        try self.init(file: file, keyFile: keyFile, interval: Self.interval, onChange: onChange)
    }

    /// Reads the files, with a parameter for tests: the time between two looks at them.
    init(
        file: String,
        keyFile: String,
        interval: Duration,
        onChange: @escaping @Sendable (Result<Timestamp, MeshEventsError>) -> Void = { _ in }
    ) throws(MeshEventsError) {
        self.file = file
        self.keyFile = keyFile
        self.interval = interval
        self.onChange = onChange
        // Before they are read: what changes meanwhile is seen at the next look.
        let versions = Versions(certificate: FileVersion(of: file), key: FileVersion(of: keyFile))
        state = Locked(State(context: try TLSServerContext(file: file, keyFile: keyFile), known: versions))
    }

    /// When the certificate in use ends.
    public var end: Timestamp { state.withLock { $0.context.end } }

    /// Reads the files again, for connections that begin from then on.
    ///
    /// - Throws: `invalidArgument`, as ``init(file:keyFile:onChange:)``; then the former certificate stays in use.
    public func reload() throws(MeshEventsError) {
        let versions = versions
        let context = try TLSServerContext(file: file, keyFile: keyFile)
        state.withLock { $0 = State(context: context, known: versions) }
    }

    /// Looks at the files until the task is cancelled or the service is shut down gracefully.
    public func run() async {
        await cancelWhenGracefulShutdown {
            while (try? await Task.sleep(for: self.interval)) != nil { self.look() }
        }
    }

    /// The context for a connection that begins.
    var context: TLSServerContext { state.withLock { $0.context } }

    private var versions: Versions {
        Versions(certificate: FileVersion(of: file), key: FileVersion(of: keyFile))
    }

    /// Reads the files when they have changed. What cannot be used is told when it stays so until the next look.
    private func look() {
        let versions = versions
        let (known, suspect) = state.withLock { ($0.known, $0.suspect) }
        guard versions != known else { return }
        do throws(MeshEventsError) {
            try reload()
            onChange(.success(end))
        } catch {
            guard versions == suspect else { return state.withLock { $0.suspect = versions } }
            state.withLock { ($0.known, $0.suspect) = (versions, nil) }
            onChange(.failure(error))
        }
    }
}

#if TLS
    /// A certificate with its key, as connections need them.
    struct TLSServerContext: Sendable {
        private let context: NIOSSLContext
        /// When the certificate ends.
        let end: Timestamp

        /// Reads the files.
        ///
        /// - Throws: `invalidArgument`, naming the file.
        init(file: String, keyFile: String) throws(MeshEventsError) {
            let chain = try Self.chain(file)
            let key = try Self.key(keyFile)
            var configuration = TLSConfiguration.makeServerConfiguration(
                certificateChain: chain.map { .certificate($0) },
                privateKey: .privateKey(key)
            )
            configuration.minimumTLSVersion = .tlsv12
            configuration.applicationProtocols = ["http/1.1"]
            do {
                context = try NIOSSLContext(configuration: configuration)
            } catch {
                throw Self.wrong(
                    "the key in \(keyFile) is not that of the certificate in \(file); name two files that belong "
                        + "together, with the server's own certificate first in its file",
                    error
                )
            }
            end = Timestamp(nanosecondsSinceEpoch: Self.nanoseconds(chain.first?.notValidAfter ?? 0))
        }

        /// The handler that speaks TLS on a connection.
        func makeHandler() -> some ChannelHandler { NIOSSLServerHandler(context: context) }

        private static func chain(_ file: String) throws(MeshEventsError) -> [NIOSSLCertificate] {
            let contents: RegularFile.Contents
            do throws(RegularFile.Failure) {
                contents = try RegularFile(file).read()
            } catch {
                throw wrong("the file of the certificate, \(file), cannot be read: it \(error.problem)", error)
            }
            // Who may write it can have browsers refuse the page, but not more: the key is another file.
            do {
                let chain = try NIOSSLCertificate.fromPEMBytes(contents.bytes)
                if !chain.isEmpty { return chain }
            } catch {
                throw noCertificate(file, error)
            }
            throw noCertificate(file, nil)
        }

        private static func noCertificate(_ file: String, _ error: (any Error)?) -> MeshEventsError {
            wrong(
                "\(file) holds no certificate in PEM; name a file with the server's certificate and those of its "
                    + "authorities, such as certbot's fullchain.pem",
                error
            )
        }

        private static func key(_ file: String) throws(MeshEventsError) -> NIOSSLPrivateKey {
            let text: String
            do throws(SecretFile.Failure) {
                text = try SecretFile("file of the certificate's key,", file).read()
            } catch {
                throw wrong(error.message, error.underlying)
            }
            // Without this, the library would ask for a passphrase on the terminal.
            guard !text.contains("ENCRYPTED") else {
                throw wrong("the key in \(file) has a passphrase; take it off with `openssl pkey`", nil)
            }
            do {
                return try NIOSSLPrivateKey(bytes: Array(text.utf8), format: .pem)
            } catch {
                // Not the library's error: it could hold something of the file.
                throw wrong("\(file) holds no private key in PEM; name the file with the key of the certificate", nil)
            }
        }

        private static func wrong(_ message: String, _ error: (any Error)?) -> MeshEventsError {
            MeshEventsError(.invalidArgument, message, underlying: error)
        }

        private static func nanoseconds(_ seconds: Int) -> Int64 {
            let (product, overflow) = Int64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
            return overflow ? .max : product
        }
    }
#else
    /// Stands for TLS in a program that is built without it: there is none.
    struct TLSServerContext: Sendable {
        /// Stands for a certificate's end: none is ever read.
        let end: Timestamp

        /// - Throws: `invalidArgument`, always.
        init(file _: String, keyFile _: String) throws(MeshEventsError) {
            throw MeshEventsError(
                .invalidArgument,
                "this program is built without TLS, and serves HTTP alone; enable the trait TLS of the package mesh-events"
            )
        }

        /// A handler that does nothing.
        func makeHandler() -> some ChannelHandler { NoTLS() }

        private final class NoTLS: ChannelInboundHandler {
            typealias InboundIn = NIOAny
        }
    }
#endif
