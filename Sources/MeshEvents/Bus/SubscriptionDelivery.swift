/// What a consumer of a subscription gets.
enum SubscriptionDelivery: Sendable {
    /// Events, at least one.
    case chunk(EventChunk)
    /// Nothing more, ever.
    case end
    /// The subscription has ended for this reason; told once, ``end`` from then on.
    case failure(MeshEventsError)
}
