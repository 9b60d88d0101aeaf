import FileReading
import Foundation
public import MeshEvents
import NKeys

/// A list of the public keys that may sign for each node, and of those that may sign the saved state of the mesh.
///
/// ```swift
/// let trust = try TrustList(file: "/etc/mesh/trust")
/// let bus = EventBus(transport: transport, node: "node-b", configuration: .init(verification: .init(trust)))
/// ```
///
/// A node may have several keys, so that one can be replaced: trust the new one everywhere, let the node sign with it,
/// then remove the old one. A key may belong to several nodes.
public struct TrustList: EventVerifier, Equatable {
    private struct Entry: Equatable {
        let key: NKeyPublicKey
        var nodes: Set<String>
        /// Whether it may sign the saved state.
        var keepsState = false
    }

    /// The word behind a key that may sign the saved state.
    private static let keeperWord = "keeper"

    private var entries: [String: Entry] = [:]

    /// Creates an empty list: it trusts no key.
    public init() {}

    /// Reads a list with one key a line: the node's name, then the public key (`U…`), then `keeper` for a node that is
    /// trusted to keep the state of the mesh. `#` begins a comment.
    ///
    ///     # the attic
    ///     atelier UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4
    ///     hub     UBQ6VVVRNAVVYTFKBYZSDMTGXUHXGC7E3PJ5SGDXVIXUPGXVMT6J6SCL keeper
    ///
    /// - Throws: `invalidArgument`; the message names the line.
    public init(text: String) throws(MeshEventsError) {
        // Editors of other systems write a byte order mark, and end lines with CR LF.
        let lines = text.drop { $0 == "\u{FEFF}" }
            .split(omittingEmptySubsequences: false) { $0 == "\n" || $0 == "\r\n" }
        for (number, line) in lines.enumerated() {
            let content = line.prefix { $0 != "#" }.trimmingCharacters(in: .whitespacesAndNewlines)
            guard !content.isEmpty else { continue }
            var words = content.split(whereSeparator: \.isWhitespace)
            let keepsState = words.count > 2 && words.last.map { $0 == Self.keeperWord } == true
            if keepsState { words.removeLast() }
            guard words.count > 1, let key = words.last else {
                throw MeshEventsError(
                    .invalidArgument,
                    "line \(number + 1): write a node's name and its public key, as `node-a UD…`"
                )
            }
            let node = content[..<key.startIndex].trimmingCharacters(in: .whitespaces)
            do throws(MeshEventsError) {
                try trust(node, key: String(key), keepsState: keepsState)
            } catch {
                throw MeshEventsError(.invalidArgument, "line \(number + 1): \(error.message)")
            }
        }
    }

    /// Reads a list from a file; see ``init(text:)``.
    ///
    /// - Throws: `invalidArgument`.
    public init(file path: String) throws(MeshEventsError) {
        let contents: RegularFile.Contents
        do throws(RegularFile.Failure) {
            contents = try RegularFile(path).read()
        } catch {
            throw MeshEventsError(
                .invalidArgument,
                "the trust list \(path) cannot be read: it \(error.problem)",
                underlying: error
            )
        }
        guard let text = contents.text else {
            throw MeshEventsError(.invalidArgument, "the trust list \(path) is not UTF-8")
        }
        // A user who may write the file decides which keys this process trusts.
        guard !contents.isWritableByOthers else {
            throw MeshEventsError(
                .invalidArgument,
                "other users may write the trust list \(path), and so decide which keys are trusted: chmod go-w it"
            )
        }
        do throws(MeshEventsError) {
            try self.init(text: text)
        } catch {
            throw MeshEventsError(.invalidArgument, "the trust list \(path), \(error.message)")
        }
    }

    /// Adds a key that is trusted for a node.
    ///
    /// - Parameters:
    ///   - node: the node's name.
    ///   - key: the public key, `U…`.
    ///   - keepsState: whether it may also sign the saved state of the mesh: what is known of other nodes.
    /// - Throws: `invalidArgument` when the key is no public key, or the name is empty.
    public mutating func trust(_ node: String, key: String, keepsState: Bool = false) throws(MeshEventsError) {
        guard !node.isEmpty else { throw MeshEventsError(.invalidArgument, "the node's name must not be empty") }
        do throws(NKeyError) {
            let publicKey = try NKeyPublicKey(key)
            var entry = entries[key] ?? Entry(key: publicKey, nodes: [])
            entry.nodes.insert(node)
            entry.keepsState = entry.keepsState || keepsState
            entries[key] = entry
        } catch {
            throw MeshEventsError(.invalidArgument, error.message)
        }
    }

    /// The keys that are trusted for a node, sorted.
    public func keys(of node: String) -> [String] {
        entries.filter { $0.value.nodes.contains(node) }.map(\.key).sorted()
    }

    /// Verifies the signature of a message. The cheap checks come first, so that a signature by an unknown key costs
    /// little.
    public func verify(
        _ signature: String?,
        node: String,
        subject: RawSpan,
        payload: RawSpan
    ) -> EventSignature {
        verify(signature, subject, payload) { entry in
            entry.nodes.contains(node)
                ? .signed(by: node) : .forged(reason: "the key is not one of the node that the event names")
        }
    }

    /// Verifies the signature of an entry of the saved state.
    ///
    /// - Returns: `signed` only for a key that may sign it: a line of the list ends with `keeper`.
    public func verifySavedState(_ signature: String?, subject: RawSpan, value: RawSpan) -> EventSignature {
        verify(signature, subject, value) { entry in
            guard entry.keepsState, let node = entry.nodes.min() else {
                return .forged(reason: "the key is not one that may sign the saved state")
            }
            return .signed(by: node)
        }
    }

    /// Verifies a signature.
    ///
    /// - Parameter judge: what a valid signature by a key says.
    private func verify(
        _ signature: String?,
        _ subject: RawSpan,
        _ payload: RawSpan,
        judge: (Entry) -> EventSignature
    ) -> EventSignature {
        guard let signature else { return .unsigned }
        guard let field = SignatureField(signature) else {
            return .forged(reason: "the signature is not one of version \(SignatureField.version)")
        }
        guard let entry = entries[String(field.key)] else {
            return .forged(reason: "the trust list does not have the key \(field.key.prefix(60))")
        }
        let verdict = judge(entry)
        guard verdict.isTrusted else { return verdict }
        guard entry.key.isValidSignature(field.signature, for: SignedBytes.make(subject: subject, payload: payload))
        else { return .forged(reason: "the signature does not match the subject and the payload") }
        return verdict
    }
}
