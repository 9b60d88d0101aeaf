import CNATS
import EventWork

/// JetStream through libnats, with its default options but for the window and the message ids.
///
/// Unchecked because libnats locks by itself, and each measure uses it from one thread.
final class RawStream: @unchecked Sendable {
    /// As many publishes under way as the event bus allows by default.
    static let window = 4096

    private let connection: RawConnection
    private let context: OpaquePointer
    /// As long as the event bus's: a random prefix, then a counter. The server keeps every id.
    private let idPrefix = String(UInt64.random(in: .min ... .max), radix: 36) + "-"
    private var published = 0

    init(_ url: String) throws {
        connection = try RawConnection(url)
        var options = jsOptions()
        try BenchmarkError.check(jsOptions_Init(&options), "JetStream options")
        options.PublishAsync.MaxPending = Int64(Self.window)
        options.PublishAsync.StallWait = 30_000
        context = try connection.jetStream(&options)
    }

    deinit { jsCtx_Destroy(context) }

    /// Publishes, each message with an id of its own, and waits until all are acknowledged.
    func publish(_ payload: [UInt8], count: Int) throws {
        for _ in 0..<count {
            published += 1
            let status = (idPrefix + String(published)).withCString { id in
                var options = jsPubOptions()
                jsPubOptions_Init(&options)
                options.MsgId = id
                return payload.withUnsafeBytes { payload in
                    js_PublishAsync(context, Work.subject, payload.baseAddress, Int32(payload.count), &options)
                }
            }
            try BenchmarkError.check(status, "publish into the stream")
        }
        var options = jsPubOptions()
        try BenchmarkError.check(jsPubOptions_Init(&options), "publish options")
        options.MaxWait = 60_000
        try BenchmarkError.check(js_PublishAsyncComplete(context, &options), "acknowledgements")
    }

    /// Pulls `count` messages through a consumer made for it; returns how many bytes they were.
    func pull(_ count: Int) throws -> Int {
        var options = jsSubOptions()
        try BenchmarkError.check(jsSubOptions_Init(&options), "subscription options")
        options.Config.AckPolicy = js_AckNone
        var subscription: OpaquePointer?
        let status = js_PullSubscribe(&subscription, context, "events.>", nil, nil, &options, nil)
        try BenchmarkError.check(status, "pull subscription")
        defer {
            natsSubscription_Unsubscribe(subscription)
            natsSubscription_Destroy(subscription)
        }
        var bytes = 0
        var received = 0
        while received < count {
            var list = natsMsgList()
            try BenchmarkError.check(
                natsSubscription_Fetch(&list, subscription, Int32(count - received), 30_000, nil),
                "fetch"
            )
            defer { natsMsgList_Destroy(&list) }
            for index in 0..<Int(list.Count) { bytes += Int(natsMsg_GetDataLength(list.Msgs[index])) }
            received += Int(list.Count)
        }
        return bytes
    }
}
