extension StreamConfiguration {
    /// Whether the stream captures messages on this subject (which has no wildcards).
    public func captures(_ subject: String) -> Bool {
        let tokens = subject.split(separator: ".", omittingEmptySubsequences: false)
        return (subjects.isEmpty ? [name] : subjects).contains { pattern in
            var remaining = tokens[...]
            for token in pattern.split(separator: ".", omittingEmptySubsequences: false) {
                if token == ">" { return !remaining.isEmpty }
                guard let first = remaining.popFirst(), token == "*" || token == first else { return false }
            }
            return remaining.isEmpty
        }
    }
}
