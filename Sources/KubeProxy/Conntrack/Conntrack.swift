import Dispatch
import Glibc
import KubeAPI
import Nftables

/// UDP frontends of Services and who may answer for them. What the kernel tracks otherwise was begun before the endpoints changed.
/// Upstream: pkg/proxy/conntrack.CleanStaleEntries.
struct ConntrackExpectations: Sendable, Equatable {
    struct Target: Hashable, Sendable {
        var address: IPAddress
        var port: UInt16
    }

    /// The endpoints of each frontend; an empty set for one without.
    var frontends: [Target: Set<Target>] = [:]

    init() {}

    /// A Service's UDP frontends. `nodeAddresses` answer at its node ports.
    init(_ service: ServiceFacts, _ endpoints: [EndpointPortKey: [EndpointFacts]], nodeAddresses: [IPAddress]) {
        for port in service.ports where port.transport == .udp {
            for family in IPFamily.allCases {
                let key = EndpointPortKey(family: family, name: port.name, transport: .udp)
                let serving = Set((endpoints[key] ?? []).filter { $0.isReady || $0.isServing }.map { Target(address: $0.address, port: $0.port) })
                var targets = (service.clusterIPs + service.externalIPs + service.loadBalancerIPs).map { Target(address: $0, port: port.port) }
                if port.nodePort > 0 { targets += nodeAddresses.map { Target(address: $0, port: port.nodePort) } }
                for target in targets where IPFamily(of: target.address) == family { frontends[target] = serving }
            }
        }
    }

    /// A flow to a frontend that somebody answers who is none of its endpoints.
    func isStale(_ flow: ConntrackFlow) -> Bool {
        guard flow.transport == ConntrackFlow.udp,
            let endpoints = frontends[Target(address: flow.destination, port: flow.destinationPort)]
        else { return false }
        return !endpoints.contains(Target(address: flow.answerer, port: flow.answererPort))
    }
}

/// The kernel's table of tracked flows, by netlink.
struct Conntrack: Sendable {
    /// Linux: AF_NETLINK, NETLINK_NETFILTER.
    private static let netlinkFamily: Int32 = 16
    private static let netfilter: Int32 = 12
    private static let queue = DispatchQueue(label: "kube-proxy.conntrack")
    /// An answer that takes longer is none.
    private static let timeoutSeconds = 5

    /// The kernel did not answer as it should.
    struct Failure: Error, CustomStringConvertible {
        var step: String
        var code: Int32
        var description: String { "conntrack: \(step): \(String(cString: strerror(code)))" }
    }

    /// Forgets the flows that `expectations` say are stale; gives how many. Throws `Failure`.
    @discardableResult
    func forget(_ expectations: ConntrackExpectations) async throws -> Int {
        guard !expectations.frontends.isEmpty else { return 0 }
        return try await withCheckedThrowingContinuation { continuation in
            Self.queue.async { continuation.resume(with: Result { try Self.forgetBlocking(expectations) }) }
        }
    }

    private static func forgetBlocking(_ expectations: ConntrackExpectations) throws -> Int {
        let descriptor = socket(netlinkFamily, Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue), netfilter)
        guard descriptor >= 0 else { throw Failure(step: "socket", code: errno) }
        defer { close(descriptor) }
        var timeout = timeval(tv_sec: timeoutSeconds, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        var stale: [ConntrackFlow] = []
        for isIPv6 in Set(expectations.frontends.keys.map(\.address.isIPv6)) {
            try ask(descriptor, ConntrackMessages.list(isIPv6: isIPv6)) { stale += $0.filter(expectations.isStale) }
        }
        for flow in stale {
            do { try ask(descriptor, ConntrackMessages.forget(flow)) { _ in } } catch let error as Failure where error.code == ENOENT {}
        }
        return stale.count
    }

    private static func ask(_ descriptor: Int32, _ message: [UInt8], _ each: ([ConntrackFlow]) -> Void) throws {
        guard send(descriptor, message, message.count, 0) == message.count else { throw Failure(step: "send", code: errno) }
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw Failure(step: "receive", code: errno) }
            let answer = ConntrackMessages.read(buffer[..<count])
            each(answer.flows)
            if answer.code != 0 { throw Failure(step: "answer", code: -answer.code) }
            if answer.isLast { return }
        }
    }
}
