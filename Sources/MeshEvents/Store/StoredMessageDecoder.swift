/// Decodes stored messages: an event without a usable timestamp gets its time of storing.
struct StoredMessageDecoder {
    private var decoder = EventDecoder()

    mutating func decode(_ message: StoredMessage) throws(MalformedEvent) -> Event {
        var subject = message.subject
        let result = subject.withUTF8 { subject -> Result<Event, MalformedEvent> in
            message.payload.withUnsafeBytes { payload in
                Result { () throws(MalformedEvent) in
                    try decoder.decode(
                        subject: UnsafeRawBufferPointer(subject),
                        payload: payload,
                        received: message.storedAt
                    )
                }
            }
        }
        return try result.get()
    }
}
