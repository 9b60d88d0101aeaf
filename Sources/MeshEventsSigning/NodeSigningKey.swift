import FileReading
import Foundation
public import MeshEvents
public import NKeys

/// The key with which a node signs its events: an NKey, the same as for logging in (Ed25519, RFC 8032).
///
/// ```swift
/// let key = try NodeSigningKey(file: "/etc/mesh/node-a.nk")
/// let bus = EventBus(transport: transport, node: "node-a", configuration: .init(signer: key))
/// ```
public struct NodeSigningKey: EventSigner {
    private let key: NKey

    /// The public key, in the form that a ``TrustList`` takes.
    public let publicKey: String

    /// Creates a signing key from an NKey.
    public init(_ key: NKey) {
        self.key = key
        publicKey = key.publicKey
    }

    /// Makes a new key.
    public static func generate() -> NodeSigningKey { NodeSigningKey(NKey()) }

    /// Reads a seed, `SU…`.
    ///
    /// - Throws: `invalidArgument` when it is no seed; the message does not show it.
    public init(seed: String) throws(MeshEventsError) {
        do throws(NKeyError) {
            self.init(try NKey(seed: seed))
        } catch {
            throw MeshEventsError(.invalidArgument, error.message, underlying: error)
        }
    }

    /// Reads a seed from a file: the first line that holds one.
    ///
    /// - Throws: `invalidArgument` when the file cannot be read, has no seed, or users other than its owner can read
    ///   it.
    public init(file path: String) throws(MeshEventsError) {
        let text: String
        do throws(SecretFile.Failure) {
            text = try SecretFile("key file", path).read()
        } catch {
            throw MeshEventsError(.invalidArgument, error.message, underlying: error.underlying)
        }
        do throws(NKeyError) {
            self.init(try NKey(seedIn: text))
        } catch {
            throw MeshEventsError(
                .invalidArgument,
                "the key file \(path) has no line with an NKey seed (SU…): \(error.message)",
                underlying: error
            )
        }
    }

    /// Writes the seed into a new file that only its owner may read.
    ///
    /// - Throws: `invalidArgument` when the file exists or cannot be made.
    public func write(to path: String) throws(MeshEventsError) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            let reason = errno == EEXIST ? "exists already" : String(cString: strerror(errno))
            throw MeshEventsError(.invalidArgument, "the key file \(path) cannot be made: \(reason)")
        }
        let file = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        do {
            try file.write(contentsOf: Data("\(key.seed)\n".utf8))
            try file.synchronize()
        } catch {
            throw MeshEventsError(.invalidArgument, "the key file \(path) cannot be written", underlying: error)
        }
    }

    /// The value of the header `Mesh-Signature`: `v1 <public key> <signature in base64>`.
    public func sign(
        subject: RawSpan,
        payload: RawSpan
    ) throws(MeshEventsError) -> String {
        do throws(NKeyError) {
            let signature = try key.sign(SignedBytes.make(subject: subject, payload: payload))
            return SignatureField.text(key: publicKey, signature: signature)
        } catch {
            throw MeshEventsError(
                .invalidArgument,
                "the event could not be signed: \(error.message)",
                underlying: error
            )
        }
    }
}
