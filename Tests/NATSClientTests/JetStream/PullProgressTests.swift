import Testing

@testable import NATSClient

@Suite("The accounting of a reading")
struct PullProgressTests {
    @Test("asks in chunks that overlap and never for more than is wanted", arguments: [1, 2, 99, 100, 101, 10_000])
    func chunks(total: Int) {
        var progress = PullProgress(total: total, chunk: 100, endsWhenNothingPending: true)
        guard case .request(var asked, _) = progress.begin() else {
            Issue.record("nothing was requested")
            return
        }
        var idle = 0
        for received in 1...total {
            if progress.outstanding == 0 { idle += 1 }
            switch progress.delivered(pending: UInt64(total - received)) {
            case .request(let batch, _):
                #expect(batch <= 100)
                asked += batch
            case .finish: #expect(received == total)
            case .wait: #expect(received < total)
            case .fail(let reason), .refuse(let reason): Issue.record("\(reason)")
            }
        }
        #expect(asked == total)
        #expect(progress.received == total)
        #expect(idle == 0)
    }

    @Test("a message with nothing behind it ends the reading early, but not a fetch that may wait")
    func nothingPending() {
        var reading = PullProgress(total: 10, chunk: 10, endsWhenNothingPending: true)
        _ = reading.begin()
        #expect(reading.delivered(pending: 1) == .wait)
        #expect(reading.delivered(pending: 0) == .finish)
        var fetch = PullProgress(total: 10, chunk: 10, endsWhenNothingPending: false)
        _ = fetch.begin()
        #expect(fetch.delivered(pending: 0) == .wait)
    }

    @Test("statuses: heartbeats go by, nothing left ends, a full request is renewed, a lost consumer fails")
    func statuses() {
        var progress = PullProgress(total: 1_000, chunk: 100, endsWhenNothingPending: true)
        #expect(progress.begin() == .request(100, bytes: nil))
        #expect(progress.status(100, "Idle Heartbeat", unfilled: nil) == .wait)
        #expect(progress.status(409, "Message Size Exceeds MaxBytes", unfilled: 90) == .request(100, bytes: nil))
        #expect(progress.outstanding == 110)
        // Without a message in between the next one would be larger than a request may be.
        #expect(progress.delivered(pending: 500) == .wait)
        #expect(progress.status(409, "Message Size Exceeds MaxBytes", unfilled: nil) == .request(100, bytes: nil))
        #expect(progress.outstanding == 100)
        #expect(progress.status(404, "No Messages", unfilled: nil) == .finish)
        #expect(progress.status(408, "Request Timeout", unfilled: 5) == .finish)
        for (code, text) in [(409, "Consumer Deleted"), (409, "Leadership Change"), (503, ""), (400, "Bad Request")] {
            guard case .fail = progress.status(code, text, unfilled: nil) else {
                Issue.record("\(code) \(text) must fail")
                continue
            }
        }
    }

    /// As servers from 2.9 answer a request without waiting while an earlier one has asked for all that is at hand.
    @Test("a request refused because another is being filled is no end: it is asked again once that one is")
    func requestsPending() {
        var progress = PullProgress(total: 150, chunk: 100, endsWhenNothingPending: true)
        #expect(progress.begin() == .request(100, bytes: nil))
        var second: PullProgress.Action?
        for left in stride(from: 149, to: 99, by: -1) { second = progress.delivered(pending: UInt64(left)) }
        #expect(second == .request(50, bytes: nil))
        #expect(progress.status(408, "Requests Pending", unfilled: nil) == .wait)
        for left in stride(from: 99, to: 50, by: -1) { #expect(progress.delivered(pending: UInt64(left)) == .wait) }
        #expect(progress.delivered(pending: 50) == .request(50, bytes: nil))
        // With none other on its way it is the end.
        #expect(progress.status(408, "Requests Pending", unfilled: nil) == .finish)
    }

    @Test("a count of missing messages that cannot be is no more and no less than what was asked for")
    func absurdCounts() {
        for unfilled in [Int.min, -1, 0, 1, 100, .max] {
            var progress = PullProgress(total: 200, chunk: 100, endsWhenNothingPending: true)
            _ = progress.begin()
            _ = progress.status(409, "Exceeded MaxBytes", unfilled: unfilled)
            #expect((0...200).contains(progress.outstanding), "\(unfilled)")
        }
    }

    @Test("a request that is refused for its size is made again within the limit, once for each limit")
    func refusals() {
        var progress = PullProgress(total: 1_000, chunk: 400, endsWhenNothingPending: true)
        #expect(progress.begin() == .request(400, bytes: nil))
        #expect(progress.status(409, "Exceeded MaxRequestBatch of 150", unfilled: nil) == .request(150, bytes: nil))
        #expect(progress.limits.batch == 150 && progress.outstanding == 150)
        #expect(progress.status(409, "Exceeded MaxRequestMaxBytes of 4096", unfilled: nil) == .request(150, bytes: nil))
        #expect(progress.limits.bytes == 4_096)
        guard case .refuse(let reason) = progress.status(409, "Exceeded MaxRequestBatch of 150", unfilled: nil) else {
            Issue.record("a limit that was kept cannot be kept again")
            return
        }
        #expect(reason.contains("MaxRequestBatch of 150"))
    }

    @Test("a message that fits into no request ends the reading")
    func tooLarge() {
        var limits = PullLimits()
        limits.bytes = 100
        var progress = PullProgress(total: 10, chunk: 10, endsWhenNothingPending: true, limits: limits)
        _ = progress.begin()
        func cut(_ unfilled: Int) -> PullProgress.Action {
            progress.status(409, "Message Size Exceeds MaxBytes", unfilled: unfilled)
        }
        // The one behind it asks for as much as a message may have.
        for _ in 0..<4 { #expect(cut(10) == .request(10, bytes: nil)) }
        guard case .refuse(let reason) = cut(10) else {
            Issue.record("the same request would be made for ever")
            return
        }
        #expect(reason.contains("max_bytes 100"))
    }

    @Test("a request whose bytes are used up to the last one is followed by another, said or not")
    func usedUp() {
        var progress = PullProgress(total: 100, chunk: 10, endsWhenNothingPending: true)
        #expect(progress.begin() == .request(10, bytes: nil))
        for _ in 0..<3 { #expect(progress.delivered(pending: 90) == .wait) }
        #expect(progress.status(409, "Batch Completed", unfilled: 7) == .request(10, bytes: nil))
        for _ in 0..<3 { #expect(progress.delivered(pending: 90) == .wait) }
        #expect(progress.requestsAreGone() == .request(10, bytes: nil))
        #expect(progress.outstanding == 10)
    }

    @Test("requests that overlap are cut short by one large message without ending the reading")
    func largeBehindSmall() {
        var progress = PullProgress(total: 100, chunk: 10, endsWhenNothingPending: true)
        #expect(progress.begin() == .request(10, bytes: nil))
        for _ in 0..<5 where progress.delivered(pending: 90) == .request(10, bytes: nil) {}
        #expect(progress.outstanding == 15)
        for round in 0..<10 {
            // The rest of the first, and all of the second: neither had room for the message.
            #expect(progress.status(409, "Message Size Exceeds MaxBytes", unfilled: 5) == .wait, "\(round)")
            #expect(
                progress.status(409, "Message Size Exceeds MaxBytes", unfilled: 10) == .request(10, bytes: nil),
                "\(round)"
            )
            for _ in 0..<5 { _ = progress.delivered(pending: 80) }
            #expect(progress.outstanding == 15)
        }
    }

    @Test("the limits of a consumer, learnt from what a server says and applied to a request")
    func limits() {
        var limits = PullLimits()
        #expect(limits.learn("Exceeded MaxRequestExpires of 1m0.5s") == .newLimit)
        #expect(limits.expires == .seconds(60.5))
        #expect(limits.learn("exceeded maxrequestexpires of 250ms") == .newLimit)
        #expect(limits.learn("Exceeded MaxRequestExpires of 250ms") == .knownLimit)
        for text in ["", "Exceeded MaxWaiting", "Exceeded MaxRequestBatch of", "Exceeded x of 5", "Consumer Deleted"] {
            #expect(limits.learn(text) == .none, "\(text)")
        }
        #expect(limits.learn("Exceeded MaxRequestBatch of -3") == .newLimit)
        #expect(limits.batch == 1)
        let wish = PullRequest(batch: 10, expires: .seconds(30), idleHeartbeat: .seconds(1))
        let request = limits.applied(to: wish)
        #expect(request.batch == 1 && request.expires == .milliseconds(250))
        #expect(request.idleHeartbeat == .milliseconds(125))
        #expect(PullLimits().applied(to: wish) == wish)
    }
}
