/// Splits a key into words: `dbPassword`, `DB_PASSWORD` and `db-password` are `db` and `password`.
enum KeyWords {
    static func split(_ key: String) -> [String] {
        var words: [String] = []
        var word = ""
        let characters = Array(key)
        for (index, character) in characters.enumerated() {
            guard character.isLetter else {
                if !word.isEmpty { words.append(word.lowercased()) }
                word = ""
                continue
            }
            if let last = word.last, character.isUppercase {
                let nextIsLower = index + 1 < characters.count && characters[index + 1].isLowercase
                // `dbPassword` before the P, `APIKey` before the K.
                if last.isLowercase || nextIsLower {
                    words.append(word.lowercased())
                    word = ""
                }
            }
            word.append(character)
        }
        if !word.isEmpty { words.append(word.lowercased()) }
        return words
    }
}
