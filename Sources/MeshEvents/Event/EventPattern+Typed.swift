extension EventPattern {
    /// A pattern as people type it: `events.` in front is optional.
    ///
    /// - Throws: `invalidPattern`.
    package init(typed text: String) throws(MeshEventsError) {
        try self.init(text == "events" || text.hasPrefix("events.") ? text : "events." + text)
    }
}
