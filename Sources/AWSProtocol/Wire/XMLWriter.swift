/// Writes XML documents of the query services. Text is escaped; characters XML 1.0 does not have become U+FFFD.
package struct XMLWriter: Sendable {
    package private(set) var bytes: [UInt8] = []

    package init(declaration: Bool = false) {
        if declaration { bytes.append(contentsOf: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".utf8) }
    }

    /// `<name>…</name>` around what `content` writes.
    package mutating func element(_ name: String, namespace: String? = nil, _ content: (inout XMLWriter) -> Void) {
        bytes.append(contentsOf: "<\(name)".utf8)
        if let namespace { bytes.append(contentsOf: " xmlns=\"\(namespace)\"".utf8) }
        bytes.append(0x3E)
        content(&self)
        bytes.append(contentsOf: "</\(name)>".utf8)
    }

    /// `<name>text</name>`
    package mutating func leaf(_ name: String, _ text: String) { element(name) { $0.escape(text) } }
    package mutating func leaf(_ name: String, _ value: Bool) { leaf(name, value ? "true" : "false") }
    package mutating func leaf(_ name: String, _ value: Int) { leaf(name, String(value)) }
    /// Nothing when `text` is nil.
    package mutating func leaf(_ name: String, _ text: String?) { if let text { leaf(name, text) } }

    /// `<name><item>…</item><item>…</item></name>`, EC2's lists; IAM's and STS's have `member`.
    package mutating func list<Element>(
        _ name: String, of elements: some Sequence<Element>, item: String = "item", _ content: (inout XMLWriter, Element) -> Void
    ) {
        self.element(name) { xml in
            for element in elements { xml.element(item) { content(&$0, element) } }
        }
    }

    private mutating func escape(_ text: String) {
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": bytes.append(contentsOf: "&amp;".utf8)
            case "<": bytes.append(contentsOf: "&lt;".utf8)
            case ">": bytes.append(contentsOf: "&gt;".utf8)
            case "\r": bytes.append(contentsOf: "&#13;".utf8)
            case "\t", "\n": bytes.append(UInt8(truncatingIfNeeded: scalar.value))
            case "\u{0}"..<"\u{20}", "\u{FFFE}", "\u{FFFF}": bytes.append(contentsOf: "\u{FFFD}".utf8)
            default: bytes.append(contentsOf: Array(UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter))
            }
        }
    }
}
