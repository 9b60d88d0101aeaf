import MeshEvents

extension TransportConformance {
    /// Checks of cancelling, draining and closing.
    static let endings: [Check] = [
        Check("cancelling stops delivery and ends the sequence") { bench in
            let type = try bench.type()
            let subscription = try await bench.receiver.subscribe(to: .type(type))
            try await bench.emit(10)
            _ = try await subscription.collect(1, "an event before")
            subscription.cancel()
            let rest = try await subscription.rest("a cancelled sequence")
            try requireEqual(rest.count, 0, "the number of events after cancelling")
            try await bench.emit(10)
            subscription.cancel()
            let calls = Recorder()
            let handler = try await bench.receiver.subscribe(to: .type(type)) { _ in calls.add("") }
            handler.cancel()
            try await bench.emit(10)
            try await handler.drain()
            try requireEqual(calls.texts.count, 0, "the calls of a cancelled handler")
        },
        Check("a drain delivers what was sent before, then ends") { bench in
            let type = try bench.type()
            let subscription = try await bench.receiver.subscribe(to: .type(type))
            let calls = Recorder()
            let handler = try await bench.receiver.subscribe(to: .type(type)) { event in
                await Task.yield()
                calls.add("\(event.data["seq"]?.int ?? -1)")
            }
            try await bench.emit(1000)
            try await handler.drain(timeout: .seconds(60))
            try requireEqual(calls.texts, (0..<1000).map { "\($0)" }, "what the handler had seen when drain returned")
            try await subscription.drain()
            try await bench.emit(5)
            let rest = try await subscription.rest("a drained sequence")
            try requireEqual(rest.numbers, Array(0..<1000), "what the sequence held")
        },
        Check("a handler's errors are counted and end nothing") { bench in
            let type = try bench.type()
            let handler = try await bench.receiver.subscribe(to: .type(type)) { event in
                if event.data["seq"]?.int?.isMultiple(of: 2) == true { throw ConformanceFailure("on purpose") }
            }
            try await bench.emit(100)
            try await handler.drain()
            try requireEqual(handler.received, 100, "received")
            try requireEqual(handler.handlerErrors, 50, "handlerErrors")
        },
        Check("cancelling the reading task ends the sequence; the next reader gets the rest") { bench in
            let type = try bench.type()
            let subscription = try await bench.receiver.subscribe(to: .type(type))
            try await bench.emit(10)
            let first = try await subscription.collect(3, "the first reader's events")
            try requireEqual(first.numbers, [0, 1, 2], "what the first reader got")
            let cancelled = Task { () -> Int in
                var count = 0
                while !Task.isCancelled { await Task.yield() }
                for try await _ in subscription { count += 1 }
                return count
            }
            cancelled.cancel()
            let count = try await within("a cancelled reader to end") { try await cancelled.value }
            try requireEqual(count, 0, "the events a cancelled reader got")
            let second = try await subscription.collect(7, "the second reader's events")
            try requireEqual(second.numbers, Array(3..<10), "what the second reader got")
            let waiting = Task { () -> Int in
                var count = 0
                for try await _ in subscription { count += 1 }
                return count
            }
            await Task.yield()
            waiting.cancel()
            let none = try await within("a reader cancelled while waiting to end") { try await waiting.value }
            try requireEqual(none, 0, "the events of a reader cancelled while waiting")
        },
        Check("after closing the bus calls throw closed and sequences end") { bench in
            let type = try bench.type()
            let subscription = try await bench.receiver.subscribe(to: .type(type))
            let waiting = Task { try await subscription.rest("the sequence of a closed bus").count }
            await Task.yield()
            await bench.receiver.close()
            try requireEqual(try await waiting.value, 0, "the events after closing")
            try requireCode(.closed, "emitting") { try bench.receiver.emit(type) }
            try await requireCode(.closed, "flushing") { try await bench.receiver.flush() }
            try await requireCode(.closed, "subscribing") { _ = try await bench.receiver.subscribe(to: .type(type)) }
            try bench.emitter.emit(type)
            try await bench.emitter.flush()
            await bench.receiver.close()
        },
        Check("after closing the transport calls throw closed and sequences end or throw") { bench in
            let type = try bench.type()
            let subscription = try await bench.receiver.subscribe(to: .type(type))
            let waiting = Task {
                do {
                    return try await subscription.rest("the sequence of a closed transport").count
                } catch let error as MeshEventsError where error.code == .closed {
                    return 0
                }
            }
            await Task.yield()
            await bench.fixture.close()
            try requireEqual(try await waiting.value, 0, "the events after closing")
            try requireCode(.closed, "emitting") { try bench.emitter.emit(type) }
            try await requireCode(.closed, "flushing") { try await bench.emitter.flush() }
            try await requireCode(.closed, "subscribing") { _ = try await bench.receiver.subscribe(to: .type(type)) }
        },
    ]
}
