import KubeAPI

/// A record of an answer of ours.
struct DNSRecord: Sendable, Hashable {
    /// What a record says.
    enum Content: Sendable, Hashable {
        case address(IPAddress)
        case alias(DNSName)
        case pointer(DNSName)
        case nameServer(DNSName)
        case service(priority: UInt16, weight: UInt16, port: UInt16, target: DNSName)
        case text(String)
        case authority(server: DNSName, mailbox: DNSName, serial: UInt32, ttl: UInt32)
    }

    var name: DNSName
    var ttl: UInt32
    var content: Content

    var type: UInt16 {
        switch content {
        case .address(let address): address.isIPv6 ? DNSNumber.typeAAAA : DNSNumber.typeA
        case .alias: DNSNumber.typeCNAME
        case .pointer: DNSNumber.typePTR
        case .nameServer: DNSNumber.typeNS
        case .service: DNSNumber.typeSRV
        case .text: DNSNumber.typeTXT
        case .authority: DNSNumber.typeSOA
        }
    }
}

/// What is answered to a question.
struct DNSAnswer: Sendable, Equatable {
    var code = ResponseCode.noError
    var isAuthoritative = true
    var answers: [DNSRecord] = []
    var authorities: [DNSRecord] = []
    var additionals: [DNSRecord] = []
}
