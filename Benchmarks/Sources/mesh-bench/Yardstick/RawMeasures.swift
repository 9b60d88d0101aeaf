import EventWork

/// The yardstick: libnats, publisher and subscriber on connections of their own, payloads built beforehand.
struct RawMeasures: Sendable {
    private let url: String
    private let payload: [UInt8]

    init(url: String, payload: [UInt8]? = nil) throws {
        self.url = url
        self.payload = try payload ?? Work.payload()
    }

    /// Publishes, until the server has it all.
    func publish(_ count: Int) throws -> Measure {
        let connection = try RawConnection(url)
        let payload = payload
        return {
            try await onThread {
                let start = now()
                try connection.publish(payload, count: count)
                try connection.flush()
                return [rate(count, since: start)]
            }
        }
    }

    /// Publishes, until the callback has had it all.
    func receive(_ count: Int) throws -> Measure {
        let publisher = try RawConnection(url)
        let subscriber = try RawConnection(url)
        let payload = payload
        return {
            let receiver = RawReceiver(target: count)
            let subscription = try subscriber.subscribe(receiver)
            return try await onThread {
                let start = now()
                try publisher.publish(payload, count: count)
                try publisher.flush()
                try receiver.wait()
                guard try subscription.dropped() == 0, receiver.bytes == count * payload.count else {
                    throw BenchmarkError("libnats received \(receiver.bytes) bytes of \(count * payload.count)")
                }
                return [Double(count) * 1e9 / (receiver.lastArrival - start)]
            }
        }
    }

    /// One at a time, sent at once: the time from the publish to the callback; its median and 99th percentile, in
    /// microseconds.
    func oneAtATime(_ rounds: Int) throws -> Measure {
        let publisher = try RawConnection(url, sendAsap: true)
        let subscriber = try RawConnection(url, sendAsap: true)
        let payload = payload
        return {
            let receiver = RawReceiver(target: 1)
            let subscription = try subscriber.subscribe(receiver)
            return try await onThread {
                var times: [Double] = []
                times.reserveCapacity(rounds)
                for _ in 0..<rounds {
                    let start = now()
                    try publisher.publish(payload)
                    try receiver.wait()
                    times.append((receiver.lastArrival - start) / 1000)
                }
                guard try subscription.dropped() == 0 else { throw BenchmarkError("libnats dropped messages") }
                return [times.percentile(0.5), times.percentile(0.99)]
            }
        }
    }
}
