/// A text in which `${NAME}` and `${NAME:-default}` are replaced by values.
struct VariableExpansion {
    /// Why the text cannot be expanded.
    struct Failure: Error {
        let message: String
    }

    /// The text with its variables replaced.
    let text: String
    /// The values that were inserted.
    let values: [String]

    /// Replaces variables; `$${` becomes `${`. A default stands for a variable that is not set or empty, as in a shell.
    /// Inserted values are not searched for variables.
    ///
    /// - Parameter limit: how many bytes the text may have afterwards.
    init(_ text: String, variables: [String: String], limit: Int = .max) throws(Failure) {
        var result = ""
        var values: [String] = []
        var rest = text[...]
        while let start = rest.firstRange(of: "${") {
            if rest[..<start.lowerBound].last == "$" {
                result += rest[..<start.lowerBound].dropLast() + "${"
                rest = rest[start.upperBound...]
                continue
            }
            result += rest[..<start.lowerBound]
            rest = rest[start.upperBound...]
            guard let end = rest.firstIndex(of: "}") else {
                throw Failure(message: "a '${' without its '}'; write $${ for the characters themselves")
            }
            let value = try Self.value(rest[..<end], variables)
            values.append(value)
            result += value
            rest = rest[rest.index(after: end)...]
            guard result.utf8.count <= limit else {
                throw Failure(message: "the variables make this too large; all such strings have at most 4 MiB")
            }
        }
        self.text = result + rest
        self.values = values
    }

    private static func value(_ reference: Substring, _ variables: [String: String]) throws(Failure) -> String {
        let separator = reference.firstRange(of: ":-")
        let name = reference[..<(separator?.lowerBound ?? reference.endIndex)]
        let isName = name.utf8.allSatisfy { ($0 | 32 >= 97 && $0 | 32 <= 122) || $0 == 95 || ($0 >= 48 && $0 <= 57) }
        guard isName, let first = name.first, !first.isNumber else {
            throw Failure(message: "'${\(reference)}' names no variable; write $${ for the characters themselves")
        }
        let value = variables[String(name)]
        if let separator {
            if let value, !value.isEmpty { return value }
            return String(reference[separator.upperBound...])
        }
        guard let value else {
            let advice = "set it, or give a default: ${\(name):-…}"
            throw Failure(message: "the environment variable \(name) is not set; \(advice)")
        }
        return value
    }
}
