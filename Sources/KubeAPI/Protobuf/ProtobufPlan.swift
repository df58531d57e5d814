/// The protobuf table as the encoder walks it: for every message its fields in the order of their numbers, and a hash table from the bytes of a JSON
/// name to a field. Members that stand in their parent's JSON (`json:",inline"`) are slots of the parent, behind a slot for the group they are
/// written in. Built when the first answer in protobuf is written.
struct ProtobufPlan: Sendable {
    enum Scalar: UInt8, Sendable {
        case string, bytes, bool, int, double, message
    }

    enum Shape: UInt8, Sendable {
        case single, list, map
        /// A message whose members are the slots that follow, up to `groupEnd`.
        case group
    }

    struct Slot: Sendable {
        var number: Int
        var shape: Shape
        var scalar = Scalar.message
        /// Place of the message when `scalar` is one.
        var message = 0
        /// The JSON name's bytes in `names`.
        var nameStart = 0
        var nameLength = 0
        /// Past the last slot of a group, counted from the message's first.
        var groupEnd = 0
    }

    struct Message: Sendable {
        var form: ProtobufTable.Form
        var firstSlot = 0
        var slotCount = 0
        /// The first entry of the message's hash table, whose size is `mask` + 1, a power of two.
        var tableStart = 0
        var mask = 0
    }

    private(set) var messages: [Message] = []
    private(set) var slots: [Slot] = []
    private(set) var names: [UInt8] = []
    /// Slots counted from their message's first, or -1.
    private var tables: [Int16] = []

    static let shared = ProtobufPlan(.shared)

    init(_ table: ProtobufTable) {
        for message in table.messages {
            var planned = Message(form: message.form, firstSlot: slots.count)
            add(message.fields, of: table, first: planned.firstSlot)
            planned.slotCount = slots.count - planned.firstSlot
            var size = 4
            while size < planned.slotCount * 2 { size *= 2 }
            planned.tableStart = tables.count
            planned.mask = size - 1
            tables += [Int16](repeating: -1, count: size)
            for index in 0..<planned.slotCount {
                let slot = slots[planned.firstSlot + index]
                guard slot.shape != .group else { continue }
                var at = Int(truncatingIfNeeded: Self.hash(names[slot.nameStart..<slot.nameStart + slot.nameLength])) & planned.mask
                while tables[planned.tableStart + at] >= 0 { at = (at + 1) & planned.mask }
                tables[planned.tableStart + at] = Int16(index)
            }
            messages.append(planned)
        }
    }

    private mutating func add(_ fields: [ProtobufTable.Field], of table: ProtobufTable, first: Int) {
        for field in fields {
            guard let name = field.name else {
                guard case .message(let inner) = field.kind else { continue }
                let place = slots.count
                slots.append(Slot(number: field.number, shape: .group))
                add(table.messages[inner].fields, of: table, first: first)
                slots[place].groupEnd = slots.count - first
                continue
            }
            var slot = Slot(number: field.number, shape: .single)
            switch field.kind {
            case .list(let element):
                slot.shape = .list
                (slot.scalar, slot.message) = Self.scalar(element)
            case .map(let element):
                slot.shape = .map
                (slot.scalar, slot.message) = Self.scalar(element)
            default: (slot.scalar, slot.message) = Self.scalar(field.kind)
            }
            slot.nameStart = names.count
            slot.nameLength = name.utf8.count
            names += Array(name.utf8)
            slots.append(slot)
        }
    }

    private static func scalar(_ kind: ProtobufTable.Kind) -> (Scalar, Int) {
        switch kind {
        case .string: (.string, 0)
        case .bytes: (.bytes, 0)
        case .bool: (.bool, 0)
        case .int: (.int, 0)
        case .double: (.double, 0)
        case .message(let place): (.message, place)
        case .list, .map: (.string, 0)  // The API has no lists of lists.
        }
    }

    /// The slot of the JSON name `key`, counted from the message's first; nil for a name the message does not have.
    @inline(__always)
    func slot(_ message: Message, _ key: some Collection<UInt8>) -> Int? {
        var at = Int(truncatingIfNeeded: Self.hash(key)) & message.mask
        while true {
            let index = tables[message.tableStart + at]
            guard index >= 0 else { return nil }
            let slot = slots[message.firstSlot + Int(index)]
            if slot.nameLength == key.count, names[slot.nameStart..<slot.nameStart + slot.nameLength].elementsEqual(key) { return Int(index) }
            at = (at + 1) & message.mask
        }
    }

    /// FNV-1a.
    @inline(__always)
    private static func hash(_ bytes: some Collection<UInt8>) -> UInt32 {
        bytes.reduce(0x811C_9DC5 as UInt32) { ($0 ^ UInt32($1)) &* 0x0100_0193 }
    }
}
