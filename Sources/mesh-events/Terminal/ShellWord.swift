/// Words of commands that are printed for copying into a shell.
enum ShellWord {
    /// The word as a shell takes it: in single quotes unless it has only characters that no shell interprets. What could
    /// move a terminal's cursor is escaped, and such a word is not right for a shell.
    static func quoted(_ word: String) -> String {
        let isPlain = !word.isEmpty && word.utf8.allSatisfy(isPlain)
        return isPlain ? word : "'" + SafeText.escaped(word).replacing("'", with: #"'\''"#) + "'"
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "_-./:,@%+=".utf8.contains(byte)
        }
    }
}
