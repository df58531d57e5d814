internal import Processes

/// Which addresses and ports of IPv4 listen in this network namespace. Upstream: proc(5), /proc/net/tcp.
struct ListeningPorts {
    private static let listening = "0A"
    private let places: Set<String>

    static func current() -> ListeningPorts { ListeningPorts(table: SmallFile.readText("/proc/net/tcp") ?? "") }

    /// Lines of the kernel: `sl local_address rem_address st …`, addresses as hexadecimal numbers of this machine's byte order.
    init(table: String) {
        var places: Set<String> = []
        for line in table.split(separator: "\n").dropFirst() {
            let fields = line.split(separator: " ", maxSplits: 4)
            if fields.count > 3, fields[3] == Self.listening { places.insert(String(fields[1])) }
        }
        self.places = places
    }

    /// Whether all of these are there. Addresses are dotted; one that is none is not there.
    func hasAll(_ wanted: [(address: String, port: UInt16)]) -> Bool {
        wanted.allSatisfy { place in Self.field(place.address, place.port).map(places.contains) ?? false }
    }

    private static func field(_ address: String, _ port: UInt16) -> String? {
        let bytes = address.split(separator: ".", omittingEmptySubsequences: false).compactMap { UInt8($0) }
        guard bytes.count == 4 else { return nil }
        // The kernel prints the address as it lies in memory.
        let number = bytes.withUnsafeBytes { $0.loadUnaligned(as: UInt32.self) }
        return "\(padded(String(number, radix: 16, uppercase: true), 8)):\(padded(String(port, radix: 16, uppercase: true), 4))"
    }

    private static func padded(_ digits: String, _ count: Int) -> String { String(repeating: "0", count: max(0, count - digits.count)) + digits }
}
