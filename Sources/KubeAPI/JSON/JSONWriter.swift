/// Writes compact JSON into memory of its own.
struct JSONWriter: ~Copyable {
    private var base: UnsafeMutablePointer<UInt8>
    private var count = 0
    private var capacity: Int
    /// The deepest nesting of arrays and objects that was written; 0 for a scalar.
    private(set) var deepest = 0

    /// `capacity`: a usual object without growing.
    init(capacity: Int = 4096) {
        self.capacity = capacity
        base = .allocate(capacity: capacity)
    }

    deinit { base.deallocate() }

    /// What was written, exactly as long as it is.
    var bytes: [UInt8] { Array(UnsafeBufferPointer(start: base, count: count)) }

    func withBytes(_ body: (UnsafeBufferPointer<UInt8>) -> Void) { body(UnsafeBufferPointer(start: base, count: count)) }

    /// Makes room for `more` bytes.
    @inline(__always)
    private mutating func reserve(_ more: Int) { if count + more > capacity { grow(more) } }

    @inline(never)
    private mutating func grow(_ more: Int) {
        let larger = max(capacity * 2, count + more)
        let moved = UnsafeMutablePointer<UInt8>.allocate(capacity: larger)
        moved.moveInitialize(from: base, count: count)
        base.deallocate()
        base = moved
        capacity = larger
    }

    /// One byte for which there is room.
    @inline(__always)
    private mutating func put(_ byte: UInt8) {
        base[count] = byte
        count += 1
    }

    private mutating func put(_ text: StaticString) {
        let length = text.utf8CodeUnitCount
        reserve(length)
        (base + count).initialize(from: text.utf8Start, count: length)
        count += length
    }

    /// `depth`: how many arrays and objects are open. Recursion is bounded by the depth of what was parsed (`JSONLimits.depth`), or of what code
    /// makes.
    mutating func write(_ value: borrowing Value, depth: Int) {
        switch value {
        case .null: put("null")
        case .bool(let flag): if flag { put("true") } else { put("false") }
        case .int(let number): write(number)
        case .double(let number):
            // JSON has no infinities; Go's encoder refuses them, and no Kubernetes field can hold one.
            if let exact = Int64(exactly: number) {
                write(exact)
            } else if number.isFinite {
                plain("\(number)")
            } else {
                put("null")
            }
        case .string(let text): write(text)
        case .array(let items):
            deepest = max(deepest, depth + 1)
            reserve(items.count + 2)
            put(UInt8(ascii: "["))
            for index in items.indices {
                if index > 0 {
                    reserve(1)
                    put(UInt8(ascii: ","))
                }
                write(items[index], depth: depth + 1)
            }
            reserve(1)
            put(UInt8(ascii: "]"))
        case .object(let members):
            deepest = max(deepest, depth + 1)
            reserve(2)
            put(UInt8(ascii: "{"))
            for index in members.keys.indices {
                if index > 0 {
                    reserve(1)
                    put(UInt8(ascii: ","))
                }
                write(members.keys[index])
                reserve(1)
                put(UInt8(ascii: ":"))
                write(members.values[index], depth: depth + 1)
            }
            reserve(1)
            put(UInt8(ascii: "}"))
        }
    }

    private mutating func write(_ number: Int64) {
        let longest = 20
        reserve(longest)
        var magnitude = number.magnitude
        if number < 0 { put(UInt8(ascii: "-")) }
        var digits = 1
        var rest = magnitude
        while rest >= 10 {
            rest /= 10
            digits += 1
        }
        for place in stride(from: digits - 1, through: 0, by: -1) {
            base[count + place] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: magnitude % 10)
            magnitude /= 10
        }
        count += digits
    }

    /// Text that needs neither quotes nor escapes.
    private mutating func plain(_ text: String) {
        reserve(text.utf8.count)
        for byte in text.utf8 { put(byte) }
    }

    /// A string with its quotes.
    mutating func write(_ text: String) {
        var text = text
        text.withUTF8 { bytes in
            // Room for the worst: six bytes for each.
            reserve(bytes.count + 2)
            put(UInt8(ascii: "\""))
            if Self.isPlain(bytes) {
                if let start = bytes.baseAddress {
                    (base + count).initialize(from: start, count: bytes.count)
                    count += bytes.count
                }
            } else {
                reserve(bytes.count * 6 + 1)
                for c in bytes { escape(c) }
            }
            put(UInt8(ascii: "\""))
        }
    }

    private mutating func escape(_ c: UInt8) {
        switch c {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"):
            put(UInt8(ascii: "\\"))
            put(c)
        case 0x20...: put(c)
        case 0x0A: put("\\n")
        case 0x0D: put("\\r")
        case 0x09: put("\\t")
        default:
            put("\\u00")
            put(UInt8(ascii: "0") + (c >> 4))
            let low = c & 0xF
            put(low < 10 ? UInt8(ascii: "0") + low : UInt8(ascii: "a") + low - 10)
        }
    }

    /// Whether a text needs no escapes; looked at eight bytes at a time.
    @inline(__always)
    private static func isPlain(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        let ones: UInt64 = 0x0101_0101_0101_0101
        guard let base = bytes.baseAddress else { return true }
        var at = 0
        while at + 8 <= bytes.count {
            let word = UnsafeRawPointer(base + at).loadUnaligned(as: UInt64.self)
            let quote = word ^ (ones &* 0x22)
            let slash = word ^ (ones &* 0x5C)
            let found = ((quote &- ones) & ~quote) | ((slash &- ones) & ~slash) | ((word &- ones &* 0x20) & ~word)
            if found & 0x8080_8080_8080_8080 != 0 { return false }
            at += 8
        }
        while at < bytes.count {
            let c = base[at]
            if c < 0x20 || c == UInt8(ascii: "\"") || c == UInt8(ascii: "\\") { return false }
            at += 1
        }
        return true
    }
}
