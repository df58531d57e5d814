/// Patterns of names in access scopes and Fargate profiles: `*` stands for any characters, `?` for one.
package enum WildcardPattern {
    /// In time that grows with both lengths, whatever the pattern.
    package static func matches(_ pattern: String, _ name: String) -> Bool {
        let (pattern, name) = (Array(pattern.utf8), Array(name.utf8))
        let (star, anyOne) = (UInt8(ascii: "*"), UInt8(ascii: "?"))
        var (at, in_) = (0, 0)
        /// Where the last star was, and what it stands for until now.
        var (lastStar, lastMatch) = (-1, 0)
        while in_ < name.count {
            if at < pattern.count, pattern[at] == star {
                (lastStar, lastMatch) = (at, in_)
                at += 1
            } else if at < pattern.count, pattern[at] == anyOne || pattern[at] == name[in_] {
                at += 1
                in_ += 1
            } else if lastStar >= 0 {
                lastMatch += 1
                (at, in_) = (lastStar + 1, lastMatch)
            } else {
                return false
            }
        }
        while at < pattern.count, pattern[at] == star { at += 1 }
        return at == pattern.count
    }
}
