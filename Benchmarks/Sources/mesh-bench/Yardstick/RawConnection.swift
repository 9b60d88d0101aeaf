import CNATS
import EventWork
import Foundation

/// A connection of libnats with its default options, but for what is asked for here.
///
/// Unchecked because libnats locks by itself.
final class RawConnection: @unchecked Sendable {
    private let pointer: OpaquePointer

    init(_ url: String, sendAsap: Bool = false) throws {
        var options: OpaquePointer?
        try BenchmarkError.check(natsOptions_Create(&options), "options")
        defer { natsOptions_Destroy(options) }
        try BenchmarkError.check(natsOptions_SetURL(options, url), "URL")
        if sendAsap { try BenchmarkError.check(natsOptions_SetSendAsap(options, true), "SendAsap") }
        var pointer: OpaquePointer?
        try BenchmarkError.check(natsConnection_Connect(&pointer, options), "connect")
        guard let pointer else { throw BenchmarkError("libnats returned no connection") }
        self.pointer = pointer
    }

    deinit { natsConnection_Destroy(pointer) }

    func publish(_ payload: [UInt8], count: Int = 1) throws {
        let status = payload.withUnsafeBytes { payload -> natsStatus in
            for _ in 0..<count {
                let status = natsConnection_Publish(
                    pointer,
                    Work.rawSubject,
                    payload.baseAddress,
                    Int32(payload.count)
                )
                guard status == NATS_OK else { return status }
            }
            return NATS_OK
        }
        try BenchmarkError.check(status, "publish")
    }

    /// A JetStream context, to be destroyed by who asked.
    func jetStream(_ options: inout jsOptions) throws -> OpaquePointer {
        var context: OpaquePointer?
        try BenchmarkError.check(natsConnection_JetStream(&context, pointer, &options), "JetStream")
        guard let context else { throw BenchmarkError("libnats returned no JetStream context") }
        return context
    }

    func flush() throws {
        try BenchmarkError.check(natsConnection_FlushTimeout(pointer, 30_000), "flush")
    }

    /// Calls `receiver` for every message, on libnats' own thread, until the subscription is let go of. No limit to
    /// what waits, so that nothing is dropped.
    func subscribe(_ receiver: RawReceiver) throws -> RawSubscription {
        var subscription: OpaquePointer?
        let status = natsConnection_Subscribe(
            &subscription,
            pointer,
            Work.rawSubject,
            { _, _, message, closure in
                guard let closure else { return }
                let receiver = Unmanaged<RawReceiver>.fromOpaque(closure).takeUnretainedValue()
                receiver.received(bytes: Int(natsMsg_GetDataLength(message)))
                natsMsg_Destroy(message)
            },
            Unmanaged.passUnretained(receiver).toOpaque()
        )
        try BenchmarkError.check(status, "subscribe")
        guard let subscription else { throw BenchmarkError("libnats returned no subscription") }
        try BenchmarkError.check(natsSubscription_SetPendingLimits(subscription, -1, -1), "pending limits")
        try flush()
        return RawSubscription(pointer: subscription, receiver: receiver)
    }
}

final class RawSubscription: @unchecked Sendable {
    private let pointer: OpaquePointer
    private let receiver: RawReceiver

    fileprivate init(pointer: OpaquePointer, receiver: RawReceiver) {
        self.pointer = pointer
        self.receiver = receiver
    }

    deinit { natsSubscription_Destroy(pointer) }

    func dropped() throws -> Int64 {
        var count: Int64 = 0
        try BenchmarkError.check(natsSubscription_GetDropped(pointer, &count), "dropped")
        return count
    }
}

/// Counts messages, and tells when there are `target`.
///
/// Unchecked because libnats calls it from one thread, and readers have waited for the semaphore.
final class RawReceiver: @unchecked Sendable {
    let target: Int
    private(set) var count = 0
    private(set) var bytes = 0
    /// When the last message came, see ``now()``.
    private(set) var lastArrival = 0.0
    private let semaphore = DispatchSemaphore(value: 0)

    init(target: Int) { self.target = target }

    @inline(__always)
    func received(bytes: Int) {
        count += 1
        self.bytes += bytes
        guard count.isMultiple(of: target) else { return }
        lastArrival = now()
        semaphore.signal()
    }

    func wait() throws {
        guard semaphore.wait(timeout: .now() + 30) == .success else {
            throw BenchmarkError("libnats received \(count) of \(target) messages within 30 s")
        }
    }
}
