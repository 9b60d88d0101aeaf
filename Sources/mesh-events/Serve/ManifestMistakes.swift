import MeshSupervision

/// What commands say of a manifest that they cannot use.
extension ManifestError {
    /// Says the mistakes, each on a line of its own, when there are several.
    ///
    /// - Returns: the failure of a command that needs the file.
    func saidFailure() -> CommandFailure {
        // What cannot be read may be read later: a service that ends so is started again.
        let code: CommandFailure.Code = isUnreadable ? .unavailable : .badData
        guard problems.count > 1 else { return CommandFailure(code, description) }
        sayAll()
        return CommandFailure(code, "\(file) has \(problems.count + omitted) mistakes; correct them first")
    }

    /// Says that a changed file does not count, and why.
    ///
    /// - Parameter consequence: what follows, as `the node goes on unchanged`.
    func say(soThat consequence: String) {
        let what = isUnreadable ? "cannot be read now" : "has mistakes"
        Diagnostics.say("\(file) \(what), so \(consequence):")
        sayAll()
    }

    private func sayAll() {
        for line in description.split(whereSeparator: \.isNewline) { Diagnostics.say(String(line)) }
    }
}
