/// Finds the subscriptions that get a message: every plain one that matches, and one member of each matching queue
/// group.
struct SubscriptionTable {
    private var subscriptions: [InMemorySubscription] = []

    mutating func add(_ subscription: InMemorySubscription) {
        subscriptions.append(subscription)
    }

    /// Removes a subscription; returns whether it was in the table.
    mutating func remove(_ subscription: InMemorySubscription) -> Bool {
        guard let index = subscriptions.firstIndex(where: { $0 === subscription }) else { return false }
        subscriptions.remove(at: index)
        return true
    }

    func route(_ subject: [UInt8]) -> [InMemorySubscription] {
        var receivers: [InMemorySubscription] = []
        var groups: [String: [InMemorySubscription]] = [:]
        for subscription in subscriptions
        where SubjectMatcher.matches(pattern: subscription.pattern, subject: subject) {
            if let group = subscription.queueGroup {
                groups[group, default: []].append(subscription)
            } else {
                receivers.append(subscription)
            }
        }
        for members in groups.values {
            if let member = members.randomElement() { receivers.append(member) }
        }
        return receivers
    }
}
