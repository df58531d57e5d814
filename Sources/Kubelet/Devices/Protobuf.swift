/// The fields of a protobuf message whose types are few: numbers, texts, messages. For the small messages of device plug-ins and CSI drivers.
struct ProtobufFields: Sendable {
    private(set) var numbers: [Int: UInt64] = [:]
    /// Texts and messages, in order.
    private(set) var bytes: [Int: [[UInt8]]] = [:]

    /// Throws `VolumeError` for what is no message.
    init(_ message: [UInt8]) throws {
        var rest = message[...]
        while !rest.isEmpty {
            let key = try Self.varint(&rest)
            let field = Int(truncatingIfNeeded: key >> 3 & 0x1FFF_FFFF)
            switch key & 7 {
            case 0: numbers[field] = try Self.varint(&rest)
            case 1: try Self.skip(8, &rest)
            case 2:
                let length = try Self.varint(&rest)
                guard length <= UInt64(rest.count) else { throw Self.malformed }
                bytes[field, default: []].append(Array(rest.prefix(Int(length))))
                rest = rest.dropFirst(Int(length))
            case 5: try Self.skip(4, &rest)
            default: throw Self.malformed
            }
        }
    }

    private static let malformed = VolumeError("malformed protobuf message")

    private static func skip(_ count: Int, _ rest: inout ArraySlice<UInt8>) throws {
        guard rest.count >= count else { throw malformed }
        rest = rest.dropFirst(count)
    }

    private static func varint(_ rest: inout ArraySlice<UInt8>) throws -> UInt64 {
        var (number, shift): (UInt64, UInt64) = (0, 0)
        while let byte = rest.popFirst() {
            guard shift < 64 else { throw malformed }
            number |= UInt64(byte & 0x7F) << shift
            if byte & 0x80 == 0 { return number }
            shift += 7
        }
        throw malformed
    }

    func text(_ field: Int) -> String { bytes[field]?.last.map { String(decoding: $0, as: UTF8.self) } ?? "" }
    func texts(_ field: Int) -> [String] { (bytes[field] ?? []).map { String(decoding: $0, as: UTF8.self) } }
    func flag(_ field: Int) -> Bool { numbers[field] ?? 0 != 0 }
    /// An `int64` or an enumeration; 0 when it is not there.
    func int(_ field: Int) -> Int64 { Int64(bitPattern: numbers[field] ?? 0) }
    func messages(_ field: Int) throws -> [ProtobufFields] { try (bytes[field] ?? []).map { try ProtobufFields($0) } }
    /// A `map<string, string>`.
    func map(_ field: Int) throws -> [String: String] {
        Dictionary(try messages(field).map { ($0.text(1), $0.text(2)) }) { _, last in last }
    }

    // MARK: writing

    /// A text or message as a field.
    static func field(_ number: Int, _ bytes: [UInt8]) -> [UInt8] { varint(UInt64(number) << 3 | 2) + varint(UInt64(bytes.count)) + bytes }
    static func field(_ number: Int, _ text: String) -> [UInt8] { field(number, Array(text.utf8)) }
    static func field(_ number: Int, _ flag: Bool) -> [UInt8] { flag ? varint(UInt64(number) << 3) + [1] : [] }
    static func field(_ number: Int, _ value: Int64) -> [UInt8] { value == 0 ? [] : varint(UInt64(number) << 3) + varint(UInt64(bitPattern: value)) }
    static func field(_ number: Int, _ map: [String: String]) -> [UInt8] {
        map.sorted { $0.key < $1.key }.flatMap { field(number, field(1, $0.key) + field(2, $0.value)) }
    }

    private static func varint(_ number: UInt64) -> [UInt8] {
        var (rest, bytes): (UInt64, [UInt8]) = (number, [])
        while rest > 0x7F {
            bytes.append(UInt8(truncatingIfNeeded: rest & 0x7F | 0x80))
            rest >>= 7
        }
        return bytes + [UInt8(truncatingIfNeeded: rest)]
    }
}
