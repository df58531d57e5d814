/// What is wrong with a Corefile, and in which line. Upstream: caddyfile's errors in CoreDNS.
package struct CorefileError: Error, Sendable, Equatable, CustomStringConvertible {
    package var line: Int
    package var problem: String

    package var description: String { "Corefile:\(line) - Error during parsing: \(problem)" }
}

/// A line of a server block with the lines of its own block. Upstream: caddyfile.Dispenser.
struct CorefileDirective: Sendable, Equatable {
    var name: String
    var line: Int
    var arguments: [String]
    var options: [CorefileLine] = []

    /// An error at this line.
    func fault(_ problem: String) -> CorefileError { CorefileError(line: line, problem: problem) }
}

/// The words of a line.
struct CorefileLine: Sendable, Equatable {
    var line: Int
    var words: [String]
}

/// A Corefile as blocks of lines, before anybody asks what they mean. Upstream: coredns/caddy caddyfile/parse.go, without snippets and imports.
struct CorefileSyntax {
    /// A ConfigMap may hold more; no Corefile needs it.
    private static let maximumBytes = 64 << 10

    struct Block: Equatable {
        var line: Int
        /// `.:53`, `example.org`
        var keys: [String]
        var directives: [CorefileDirective] = []
    }

    private(set) var blocks: [Block] = []
    private var lines: ArraySlice<CorefileLine>

    /// Throws `CorefileError` at the first line that cannot be read.
    init(_ text: String) throws(CorefileError) {
        guard text.utf8.count <= Self.maximumBytes else { throw CorefileError(line: 1, problem: "the file has more than \(Self.maximumBytes) bytes") }
        var lines: [CorefileLine] = []
        for (index, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
            let words = try Self.words(line, index + 1)
            if !words.isEmpty { lines.append(CorefileLine(line: index + 1, words: words)) }
        }
        self.lines = lines[...]
        while let line = self.lines.popFirst() { blocks.append(try block(line)) }
    }

    /// Words end at spaces; quotes keep spaces, and a word that begins with `#` begins a comment.
    private static func words(_ line: Substring, _ number: Int) throws(CorefileError) -> [String] {
        var words: [String] = []
        var word: String?
        var isQuoted = false
        var isEscaped = false
        for character in line {
            if isQuoted {
                if isEscaped || (character != "\\" && character != "\"") { word = (word ?? "") + String(character) }
                if character == "\"", !isEscaped { isQuoted = false }
                isEscaped = character == "\\" && !isEscaped
            } else if character == " " || character == "\t" {
                if let done = word { words.append(done) }
                word = nil
            } else if character == "#", word == nil {
                break
            } else if character == "\"", word == nil {
                isQuoted = true
                word = ""
            } else {
                word = (word ?? "") + String(character)
            }
        }
        guard !isQuoted else { throw CorefileError(line: number, problem: "a quoted text does not end in its line") }
        if let word { words.append(word) }
        return words
    }

    private mutating func block(_ head: CorefileLine) throws(CorefileError) -> Block {
        guard head.words.last == "{" else {
            throw CorefileError(line: head.line, problem: "a server block begins with its zones and ends the line with '{'")
        }
        let keys = head.words.dropLast().flatMap { $0.split(separator: ",").map(String.init) }
        guard !keys.isEmpty else { throw CorefileError(line: head.line, problem: "a server block has no zone") }
        guard !keys.contains(where: { $0.hasPrefix("(") }) else { throw CorefileError(line: head.line, problem: "snippets are not supported") }
        var block = Block(line: head.line, keys: keys)
        while let line = lines.popFirst() {
            if line.words == ["}"] { return block }
            block.directives.append(try directive(line))
        }
        throw CorefileError(line: head.line, problem: "Unexpected EOF: the server block has no '}'")
    }

    private mutating func directive(_ line: CorefileLine) throws(CorefileError) -> CorefileDirective {
        var words = line.words
        let hasBlock = words.last == "{"
        if hasBlock { words.removeLast() }
        guard let name = words.first, name != "}" else { throw CorefileError(line: line.line, problem: "Unexpected '\(line.words[0])'") }
        var directive = CorefileDirective(name: name, line: line.line, arguments: Array(words.dropFirst()))
        guard hasBlock else { return directive }
        while let option = lines.popFirst() {
            if option.words == ["}"] { return directive }
            guard option.words.last != "{" else { throw CorefileError(line: option.line, problem: "Unexpected '{'") }
            directive.options.append(option)
        }
        throw directive.fault("Unexpected EOF: '\(name)' has no '}'")
    }
}
