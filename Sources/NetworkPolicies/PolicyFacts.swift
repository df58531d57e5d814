import KubeAPI
import Nftables

/// A pod as policies look at it.
struct PolicyPod: Sendable, Equatable {
    /// A port with a name, for policies that name it.
    struct Port: Sendable, Equatable {
        var name: String
        var transport: String
        var port: UInt16
    }

    /// The pod's uid, made of hexadecimal digits and dashes: fit for names of chains.
    var uid: String
    var namespace: String
    var labels: [String: String]
    var address: IPAddress
    var isLocal: Bool
    var ports: [Port]

    /// Nil for pods without an address of their own of the family, and for those that have ended. Upstream: what network plug-ins leave to the node.
    init?(_ object: Object, node: String, family: IPFamily = .ipv4) {
        let meta = object.metadata
        let spec = object["spec"]
        let status = object["status"]
        guard spec["hostNetwork"].bool != true, let address = status["podIP"].string.flatMap({ IPAddress($0) }), address.isIPv6 == (family == .ipv6),
            !["Succeeded", "Failed"].contains(status["phase"].string ?? ""), let uid = PolicyFacts.name(of: meta)
        else { return nil }
        self.uid = uid
        namespace = meta.namespace
        labels = meta.labels
        self.address = address
        isLocal = spec["nodeName"].string == node
        let sidecars = spec["initContainers"].elements.filter { $0["restartPolicy"]?.string == "Always" }
        ports = (spec["containers"].elements + sidecars).flatMap { $0["ports"].elements }.compactMap { port in
            guard let name = port["name"]?.string, let number = port["containerPort"]?.int.flatMap({ UInt16(exactly: $0) }),
                let transport = PolicyFacts.transport(port["protocol"]?.string)
            else { return nil }
            return Port(name: name, transport: transport, port: number)
        }
    }
}

/// A NetworkPolicy in values that were parsed. Upstream: networking/v1 NetworkPolicy.
struct PolicyFacts: Sendable {
    /// Who is on the other side.
    enum Peer: Sendable {
        /// Nil namespaces: the policy's own.
        case pods(LabelSelector, namespaces: LabelSelector?)
        case range(IPRange, except: [IPRange])
    }

    /// Which ports.
    enum Port: Sendable {
        case all(transport: String)
        case numbers(transport: String, ClosedRange<UInt16>)
        case named(transport: String, String)
    }

    struct Rule: Sendable {
        /// Nil: everybody.
        var peers: [Peer]?
        /// Nil: every port of every protocol.
        var ports: [Port]?
    }

    var uid: String
    var namespace: String
    var selector: LabelSelector
    /// Nil: the direction is not limited.
    var ingress: [Rule]?
    var egress: [Rule]?

    /// Nil for a policy that cannot be read; the API server lets none through. Ranges of another family than the pods' say nothing of them.
    init?(_ object: Object, family: IPFamily = .ipv4) {
        let spec = object["spec"]
        guard let uid = Self.name(of: object.metadata), let selector = try? Self.selector(spec["podSelector"]) else { return nil }
        self.uid = uid
        namespace = object.metadata.namespace
        self.selector = selector
        let types = spec["policyTypes"].strings
        let isIngress = types.isEmpty || types.contains("Ingress")
        let isEgress = types.contains("Egress") || (types.isEmpty && !spec["egress"].elements.isEmpty)
        ingress = isIngress ? spec["ingress"].elements.map { Self.rule($0, peers: "from", family) } : nil
        egress = isEgress ? spec["egress"].elements.map { Self.rule($0, peers: "to", family) } : nil
    }

    /// No selector and an empty one select everything.
    private static func selector(_ view: JSONView?) throws -> LabelSelector {
        guard let view, view.kind == .object else { return .everything }
        return try LabelSelector(object: view)
    }

    private static func rule(_ view: JSONView, peers key: String, _ family: IPFamily) -> Rule {
        let peers = view[key].elements
        let ports = view["ports"].elements
        // What cannot be read allows nobody.
        return Rule(peers: peers.isEmpty ? nil : peers.compactMap { peer($0, family) }, ports: ports.isEmpty ? nil : ports.compactMap(port))
    }

    private static func peer(_ view: JSONView, _ family: IPFamily) -> Peer? {
        let isIPv6 = family == .ipv6
        if let block = view["ipBlock"] {
            guard let range = block["cidr"]?.string.flatMap({ IPRange($0) }), range.isIPv6 == isIPv6 else { return nil }
            let except = block["except"].strings.map { IPRange($0) }
            // An exception that cannot be read would be let in.
            guard !except.contains(where: { $0 == nil }) else { return nil }
            return .range(range, except: except.compactMap { $0 }.filter { $0.isIPv6 == isIPv6 })
        }
        do {
            let namespaces = view["namespaceSelector"].map { $0.kind == .object } ?? false
            return .pods(try selector(view["podSelector"]), namespaces: namespaces ? try selector(view["namespaceSelector"]) : nil)
        } catch { return nil }
    }

    private static func port(_ view: JSONView) -> Port? {
        guard let transport = transport(view["protocol"]?.string) else { return nil }
        guard let port = view["port"], port.kind != .null else { return .all(transport: transport) }
        if let name = port.string { return .named(transport: transport, name) }
        guard let first = port.int.flatMap({ UInt16(exactly: $0) }) else { return nil }
        let last = view["endPort"]?.int.flatMap { UInt16(exactly: $0) } ?? first
        return last >= first ? .numbers(transport: transport, first...last) : nil
    }

    /// nft's word for a protocol; TCP where none is named.
    static func transport(_ name: String?) -> String? {
        switch name ?? "TCP" {
        case "TCP": "tcp"
        case "UDP": "udp"
        case "SCTP": "sctp"
        default: nil
        }
    }

    /// The uid, if it is one that can be part of a chain's name.
    static func name(of meta: ObjectMeta) -> String? {
        let uid = meta.uid
        let isPlain = uid.utf8.allSatisfy { byte in
            (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                || byte == UInt8(ascii: "-")
        }
        return isPlain && (1...64).contains(uid.utf8.count) ? uid : nil
    }
}
