/// What a subscription hands to a consumer.
enum SubscriptionDelivery: Sendable {
    /// Events, at least one.
    case chunk(EventChunk)
    /// The end: no more events come.
    case end
    /// The subscription has ended for this reason. Delivered once; later deliveries are ``end``.
    case failure(MeshEventsError)
}
