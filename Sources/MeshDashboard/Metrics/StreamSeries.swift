import MeshEvents
import MeshMetrics

/// What is known of the stream, bounded in size.
struct StreamReading: Sendable {
    /// How many durable subscriptions have series of their own, by name.
    static let maximumConsumers = 200

    let state: StreamState
    /// Up to where this process had read it just then; `nil` when it does not follow it.
    let position: UInt64?
    /// When its oldest and its newest event were stored; `nil` when it is empty, or that is not known.
    var times: (first: Timestamp, last: Timestamp)?
    /// How many events of each type it holds; `nil` when that is not known.
    var types: TypeCounts?
    /// Its durable subscriptions.
    var consumers: [StreamReport.Consumer] = []
    /// How many durable subscriptions are not among them.
    var otherConsumers = 0

    /// A reading without what only a report has.
    init(_ state: StreamState, position: UInt64?) {
        self.state = state
        self.position = position
    }

    /// A reading with what a report says.
    init(_ report: StreamReport, position: UInt64?) {
        self.init(report.state, position: position)
        if let first = report.firstTime, let last = report.lastTime { times = (first, last) }
        types = TypeCounts(
            report.subjects.map {
                (type: $0.key.hasPrefix("events.") ? String($0.key.dropFirst(7)) : $0.key, count: $0.value)
            }
        )
        let durable = report.consumers.filter(\.isDurable).sorted { $0.name < $1.name }
        // Names that are the same when they are cut would make one series of two.
        var seen: Set<MetricLabels> = []
        let distinct = durable.filter { seen.insert(MetricLabels("consumer", $0.name)).inserted }
        consumers = Array(distinct.prefix(Self.maximumConsumers))
        otherConsumers = durable.count - consumers.count
    }

    /// Reads it: with a report where this login may have one, and the store makes them.
    ///
    /// - Parameter position: up to where this process has read the stream.
    /// - Throws: as ``/MeshEvents/EventStore``.
    static func read(
        _ store: any EventStore,
        position: () -> UInt64?
    ) async throws(MeshEventsError) -> StreamReading {
        // Before the state, so that what is stored meanwhile counts as not read: a lag is never hidden.
        let read = position()
        if let store = store as? any StreamAdministration {
            do throws(MeshEventsError) {
                return StreamReading(try await store.report(), position: read)
            } catch {
                // A login that may not list the subscriptions is told so, or gets no answer: the stream may answer others.
                guard error.code != .streamNotFound, error.code != .closed else { throw error }
            }
        }
        return StreamReading(try await store.state(), position: read)
    }
}

/// Counts of events by type: of the most frequent types by themselves, of the rest together.
struct TypeCounts: Sendable {
    /// How many types have series of their own.
    static let maximum = 200

    private var list: [(type: String, count: UInt64)]
    private var ofOthers: UInt64

    /// - Parameter others: events of types that are not in the list.
    init(_ counts: [(type: String, count: UInt64)], others: UInt64 = 0) {
        let sorted = counts.sorted { ($1.count, $0.type) < ($0.count, $1.type) }
        list = Array(sorted.prefix(Self.maximum))
        ofOthers = sorted.dropFirst(Self.maximum).reduce(others) { $0 &+ $1.count }
        otherTypes = sorted.count - list.count
    }

    /// How many types of the list are counted together.
    let otherTypes: Int

    /// Writes a count for each type, and one for all others.
    func write(to family: MetricFamily, _ labels: MetricLabels = MetricLabels(), into exposition: inout Exposition) {
        let other = labels.adding("type", "other")
        // Types that are the same when they are cut are counted with the others.
        var (seen, sum): (Set<MetricLabels>, UInt64) = ([other], ofOthers)
        for (type, count) in list {
            let labels = labels.adding("type", type)
            if seen.insert(labels).inserted {
                exposition.add(Double(count), to: family, labels)
            } else {
                sum &+= count
            }
        }
        if sum > 0 { exposition.add(Double(sum), to: family, other) }
    }
}

/// Writes what is known of the stream as series.
enum StreamSeries {
    /// Writes a reading; `nil` when the stream does not answer.
    static func write(_ reading: StreamReading?, now: Timestamp = .now, into exposition: inout Exposition) {
        exposition.add(reading == nil ? 0 : 1, to: MeshFamilies.streamUp)
        guard let reading else { return }
        let state = reading.state
        let labels = MetricLabels("stream", state.name)
        exposition.add(Double(state.messages), to: MeshFamilies.streamMessages, labels)
        exposition.add(Double(state.bytes), to: MeshFamilies.streamBytes, labels)
        exposition.add(Double(state.firstSequence), to: MeshFamilies.streamFirst, labels)
        exposition.add(Double(state.lastSequence), to: MeshFamilies.streamLast, labels)
        if let position = reading.position {
            let lag = state.lastSequence - min(position, state.lastSequence)
            exposition.add(Double(lag), to: MeshFamilies.streamLag, labels)
        }
        if let times = reading.times {
            let age = max(0, now.duration(since: times.first) / .seconds(1))
            exposition.add(age, to: MeshFamilies.streamAge, labels)
            exposition.add(times.last.seconds, to: MeshFamilies.streamNewest, labels)
        }
        reading.types?.write(to: MeshFamilies.streamEvents, labels, into: &exposition)
        for consumer in reading.consumers {
            let labels = labels.adding("consumer", consumer.name)
            exposition.add(Double(consumer.pending), to: MeshFamilies.consumerPending, labels)
            exposition.add(Double(consumer.unacknowledged), to: MeshFamilies.consumerUnacknowledged, labels)
            exposition.add(Double(consumer.redelivered), to: MeshFamilies.consumerRedelivered, labels)
        }
    }
}
