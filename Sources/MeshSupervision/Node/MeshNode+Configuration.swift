public import MeshEvents

extension MeshNode {
    /// What a node publishes about itself, and how often.
    public struct Configuration: Sendable {
        /// The pause between two health events, from 100 ms to a day. Default 10 s. Monitors take a node for
        /// unreachable after three intervals without an event.
        public var interval: Duration
        /// By which part of it a pause varies at random, from 0 to 0.5, so that nodes started together do not always
        /// emit at the same time. Default 0.1.
        public var jitter: Double
        /// The version of the software the node runs; published when it is not `nil`.
        public var version: String?
        /// Further capabilities, published unchanged. A member whose name the node uses itself is left out.
        public var extras: [String: JSONValue]
        /// A path on the file system whose free space is published; it need not exist yet. Default `/`.
        public var storePath: String
        /// How long the node may take, when it leaves, to store its last events, node.left included. Default 10 s.
        public var leaveTimeout: Duration
        /// How many events may wait to be stored, and the pauses between attempts.
        public var emitter: LifecycleEmitter.Configuration
        /// What the node asks for the figures of GPUs, at its interval; `nil` for none. By default it asks the programs of
        /// GPUs' makers when they are there.
        public var gpus: GPUSampler?
        /// Called when another live node of this name is noticed; it must be quick.
        public var onConflict: (@Sendable (NameConflict) -> Void)?

        /// Creates a configuration; see the properties for what each value means.
        public init(
            interval: Duration = .seconds(10),
            jitter: Double = 0.1,
            version: String? = nil,
            extras: [String: JSONValue] = [:],
            storePath: String = "/",
            leaveTimeout: Duration = .seconds(10),
            emitter: LifecycleEmitter.Configuration = .init(),
            gpus: GPUSampler? = GPUSampler(),
            onConflict: (@Sendable (NameConflict) -> Void)? = nil
        ) {
            self.interval = interval
            self.jitter = jitter
            self.version = version
            self.extras = extras
            self.storePath = storePath
            self.leaveTimeout = leaveTimeout
            self.emitter = emitter
            self.gpus = gpus
            self.onConflict = onConflict
        }

        /// Throws `invalidArgument` for a value outside its range.
        func validate() throws(MeshEventsError) {
            guard interval >= .milliseconds(100), interval <= .seconds(86_400) else {
                throw MeshEventsError(
                    .invalidArgument,
                    "a node's health interval must be from 100 ms to a day, not \(interval)"
                )
            }
            guard (0...0.5).contains(jitter) else {
                throw MeshEventsError(.invalidArgument, "a node's jitter must be from 0 to 0.5, not \(jitter)")
            }
            do throws(MeshEventsError) {
                _ = try EventData(extras)
            } catch {
                throw MeshEventsError(.invalidArgument, "a node's extras cannot be published: \(error.message)")
            }
        }
    }
}
