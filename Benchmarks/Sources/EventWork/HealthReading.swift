public import MeshEvents

/// The unit of work as a type of one's own: a `node.health` that writes itself.
public struct HealthReading: EventPayload {
    /// `node.health`.
    public static var eventType: EventType { .nodeHealth }

    @usableFromInline let cpu: Double
    @usableFromInline let gpu: Bool
    @usableFromInline let memory: Int
    @usableFromInline let sequence: Int
    @usableFromInline let status: String

    /// A reading like all others but for its number.
    @inlinable
    @inline(__always)
    public init(_ sequence: Int) {
        cpu = 0.42
        gpu = true
        memory = 12345
        self.sequence = sequence
        status = "online"
    }

    /// Throws: nobody reads one.
    public init(eventData: EventData) throws(MeshEventsError) {
        throw MeshEventsError(.invalidData, "the benchmarks read events, not payloads")
    }

    /// Writes the unit of work.
    public func write(to data: inout EventDataWriter) {
        data.object("resources") { resources in
            resources.write("cpu", cpu)
            resources.write("gpu", gpu)
            resources.write("mem_mb", memory)
            resources.write("seq", sequence)
        }
        data.write("status", status)
    }
}
