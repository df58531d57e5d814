import KubeAPI

/// A flow that the kernel tracks, as far as the proxy looks at it. Upstream: netlink.ConntrackFlow.
struct ConntrackFlow: Sendable, Equatable {
    var transport: UInt8
    /// Where the client sends to.
    var destination: IPAddress
    var destinationPort: UInt16
    /// Who answers: the endpoint.
    var answerer: IPAddress
    var answererPort: UInt16
    /// The kernel's own words for the flow, with which it is told which one to forget: CTA_TUPLE_ORIG and CTA_ID.
    var identity: [UInt8]

    static let udp: UInt8 = 17
}

/// ctnetlink's messages. Upstream: linux/netfilter/nfnetlink_conntrack.h.
enum ConntrackMessages {
    private static let subsystem: UInt16 = 1 << 8
    private static let get: UInt16 = 1
    private static let delete: UInt16 = 2
    private static let request: UInt16 = 0x1
    private static let acknowledge: UInt16 = 0x4
    private static let dump: UInt16 = 0x300
    private static let headerBytes = 16
    private static let genericBytes = 4
    /// NLMSG_ERROR and NLMSG_DONE.
    private static let error: UInt16 = 2
    private static let done: UInt16 = 3
    private static let attributeMask: UInt16 = 0x3FFF
    private static let familyIPv4: UInt8 = 2
    private static let familyIPv6: UInt8 = 10

    /// Attributes' numbers.
    private static let origin: UInt16 = 1
    private static let reply: UInt16 = 2
    private static let id: UInt16 = 12

    /// Asks for all flows of a family.
    static func list(isIPv6: Bool) -> [UInt8] { message(subsystem | get, request | dump, isIPv6: isIPv6, []) }

    /// Asks to forget a flow.
    static func forget(_ flow: ConntrackFlow) -> [UInt8] {
        message(subsystem | delete, request | acknowledge, isIPv6: flow.destination.isIPv6, flow.identity)
    }

    private static func message(_ type: UInt16, _ flags: UInt16, isIPv6: Bool, _ payload: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        func append<T: FixedWidthInteger>(_ value: T) { withUnsafeBytes(of: value.littleEndian) { bytes += $0 } }
        append(UInt32(clamping: headerBytes + genericBytes + payload.count))
        append(type)
        append(flags)
        append(UInt32(1))
        append(UInt32(0))
        return bytes + [isIPv6 ? familyIPv6 : familyIPv4, 0, 0, 0] + payload
    }

    /// Reads the messages of one datagram of the kernel's answer. `isLast` once the answer is over; an error code ends it too.
    static func read(_ datagram: ArraySlice<UInt8>) -> (flows: [ConntrackFlow], isLast: Bool, code: Int32) {
        var flows: [ConntrackFlow] = []
        var rest = datagram
        while rest.count >= headerBytes {
            let length = Int(number32(rest, 0))
            guard length >= headerBytes, length <= rest.count else { break }
            let body = rest.dropFirst(headerBytes).prefix(length - headerBytes)
            switch number16(rest, 4) {
            case done: return (flows, true, 0)
            case error: return (flows, true, body.count >= 4 ? Int32(bitPattern: number32(body, 0)) : -1)
            case subsystem: if let flow = flow(body.dropFirst(genericBytes)) { flows.append(flow) }
            default: break
            }
            rest = rest.dropFirst((length + 3) & ~3)
        }
        return (flows, false, 0)
    }

    private static func flow(_ bytes: ArraySlice<UInt8>) -> ConntrackFlow? {
        var identity: [UInt8] = []
        var sent: Tuple?
        var answered: Tuple?
        for attribute in attributes(bytes) {
            switch attribute.type {
            case origin:
                sent = Tuple(attribute.body)
                identity += attribute.whole
            case reply: answered = Tuple(attribute.body)
            case id: identity += attribute.whole
            default: break
            }
        }
        guard let sent, let answered, let destination = sent.destination, let answerer = answered.source else { return nil }
        return ConntrackFlow(
            transport: sent.transport, destination: destination, destinationPort: sent.destinationPort, answerer: answerer,
            answererPort: answered.sourcePort, identity: identity)
    }

    /// One direction of a flow: CTA_TUPLE_IP and CTA_TUPLE_PROTO.
    private struct Tuple {
        var source: IPAddress?
        var destination: IPAddress?
        var transport: UInt8 = 0
        var sourcePort: UInt16 = 0
        var destinationPort: UInt16 = 0

        init(_ bytes: ArraySlice<UInt8>) {
            for part in attributes(bytes) {
                for field in attributes(part.body) {
                    switch (part.type, field.type) {
                    case (1, 1), (1, 3): source = address(field.body)
                    case (1, 2), (1, 4): destination = address(field.body)
                    case (2, 1): transport = field.body.first ?? 0
                    case (2, 2): sourcePort = port(field.body)
                    case (2, 3): destinationPort = port(field.body)
                    default: break
                    }
                }
            }
        }
    }

    private static func attributes(_ bytes: ArraySlice<UInt8>) -> [(type: UInt16, body: ArraySlice<UInt8>, whole: ArraySlice<UInt8>)] {
        var found: [(type: UInt16, body: ArraySlice<UInt8>, whole: ArraySlice<UInt8>)] = []
        var rest = bytes
        while rest.count >= 4 {
            let length = Int(number16(rest, 0))
            guard length >= 4, length <= rest.count else { break }
            let padded = (length + 3) & ~3
            found.append((number16(rest, 2) & attributeMask, rest.prefix(length).dropFirst(4), rest.prefix(padded)))
            rest = rest.dropFirst(padded)
        }
        return found
    }

    private static func address(_ bytes: ArraySlice<UInt8>) -> IPAddress? {
        guard bytes.count == 4 || bytes.count == 16 else { return nil }
        return IPAddress(number: bytes.reduce(UInt128(0)) { $0 << 8 | UInt128($1) }, isIPv6: bytes.count == 16)
    }

    private static func port(_ bytes: ArraySlice<UInt8>) -> UInt16 { bytes.prefix(2).reduce(0) { $0 << 8 | UInt16($1) } }

    private static func number16(_ bytes: ArraySlice<UInt8>, _ offset: Int) -> UInt16 {
        bytes.dropFirst(offset).prefix(2).reversed().reduce(0) { $0 << 8 | UInt16($1) }
    }

    private static func number32(_ bytes: ArraySlice<UInt8>, _ offset: Int) -> UInt32 {
        bytes.dropFirst(offset).prefix(4).reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }
}
