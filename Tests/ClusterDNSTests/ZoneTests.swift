import KubeAPI
import Testing

@testable import ClusterDNS

/// What the cluster's zone answers. Upstream: the DNS specification 1.1.0.
@Suite struct ZoneTests {
    private func ask(_ name: String, _ type: UInt16 = DNSNumber.typeA) -> DNSAnswer? {
        guard case .answer(let answer) = zone.answer(DNSName(name), type: type) else { return nil }
        return answer
    }

    private func addresses(_ name: String, _ type: UInt16 = DNSNumber.typeA) -> [String]? {
        guard let answer = ask(name, type), answer.code == .noError else { return nil }
        return answer.answers.compactMap { if case .address(let address) = $0.content { address.description } else { nil } }.sorted()
    }

    @Test("a Service's name is its address, in each family") func services() {
        #expect(addresses("web.default.svc.cluster.local") == ["10.100.0.20"])
        #expect(addresses("WEB.Default.svc.cluster.local.") == ["10.100.0.20"])
        #expect(addresses("six.default.svc.cluster.local", DNSNumber.typeAAAA) == ["fd00::21"])
        let none = ask("web.default.svc.cluster.local", DNSNumber.typeAAAA)
        #expect(none?.code == .noError && none?.answers.isEmpty == true && none?.authorities.count == 1, "the name is there, the type is not")
    }

    @Test(
        "names that are not there are denied with the zone's authority",
        arguments: [
            "nothing.default.svc.cluster.local", "web.elsewhere.svc.cluster.local", "elsewhere.svc.cluster.local", "what.cluster.local",
            "empty.default.svc.cluster.local", "_nope._tcp.web.default.svc.cluster.local", "http.tcp.web.default.svc.cluster.local",
            "a.b.c.web.default.svc.cluster.local", "1-2-3.default.pod.cluster.local", "1-2-3-4.elsewhere.pod.cluster.local",
        ]) func denials(name: String)
    {
        let answer = ask(name)
        #expect(answer?.code == .nameError)
        #expect(answer?.authorities.first?.type == DNSNumber.typeSOA)
    }

    @Test("names above others are there and empty", arguments: ["default.svc.cluster.local", "svc.cluster.local", "default.pod.cluster.local"])
    func emptyNames(name: String) { #expect(ask(name)?.code == .noError && ask(name)?.answers.isEmpty == true) }

    @Test("a headless Service is its endpoints, and each has a name") func headless() {
        #expect(addresses("db.default.svc.cluster.local") == ["10.0.0.1", "10.0.0.2"])
        #expect(addresses("db-0.db.default.svc.cluster.local") == ["10.0.0.1"])
        #expect(addresses("10-0-0-2.db.default.svc.cluster.local") == ["10.0.0.2"])
        #expect(addresses("10-0-0-2.web.default.svc.cluster.local") == ["10.0.0.2"], "endpoints of Services with an address, too")
        #expect(ask("db-9.db.default.svc.cluster.local")?.code == .nameError)
    }

    @Test("ports are found by SRV, with the addresses of their targets") func ports() throws {
        let one = try #require(ask("_http._tcp.web.default.svc.cluster.local", DNSNumber.typeSRV))
        #expect(one.answers.map(\.content) == [.service(priority: 0, weight: 100, port: 80, target: DNSName("web.default.svc.cluster.local"))])
        #expect(one.additionals.map(\.name) == [DNSName("web.default.svc.cluster.local")])
        let many = try #require(ask("_http._tcp.db.default.svc.cluster.local", DNSNumber.typeSRV))
        #expect(
            many.answers.contains {
                $0.content == .service(priority: 0, weight: 50, port: 8080, target: DNSName("db-0.db.default.svc.cluster.local"))
            })
        #expect(many.additionals.count == 2)
        #expect(ask("web.default.svc.cluster.local", DNSNumber.typeSRV)?.answers.count == 1)
    }

    @Test("external names are aliases; those that lead back into the zone are followed, loops end") func aliases() {
        guard case .follow(let begun, let target) = zone.answer(DNSName("outside.default.svc.cluster.local"), type: DNSNumber.typeA) else {
            Issue.record("an alias out of the zone is followed elsewhere")
            return
        }
        #expect(begun.answers.map(\.content) == [.alias(target)] && target == DNSName("www.example.com"))
        #expect(addresses("alias.default.svc.cluster.local") == ["10.100.0.20"])
        #expect(ask("outside.default.svc.cluster.local", DNSNumber.typeCNAME)?.answers.count == 1)
        #expect(ask("loop.default.svc.cluster.local")?.code == .noError)
    }

    @Test("addresses lead back to names; those of nobody here are asked for elsewhere") func reverse() {
        #expect(ask("20.0.100.10.in-addr.arpa", DNSNumber.typePTR)?.answers.map(\.content) == [.pointer(DNSName("web.default.svc.cluster.local"))])
        #expect(ask("1.0.0.10.in-addr.arpa", DNSNumber.typePTR)?.answers.map(\.content) == [.pointer(DNSName("db-0.db.default.svc.cluster.local"))])
        let six = "1.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa"
        #expect(ask(six, DNSNumber.typePTR)?.answers.map(\.content) == [.pointer(DNSName("six.default.svc.cluster.local"))])
        #expect(zone.answer(DNSName("9.9.9.9.in-addr.arpa"), type: DNSNumber.typePTR) == .elsewhere)
        #expect(zone.answer(DNSName("www.example.com"), type: DNSNumber.typeA) == .elsewhere)
    }

    @Test("pods' names hold their addresses, and the zone says its version and server") func others() {
        #expect(addresses("1-2-3-4.default.pod.cluster.local") == ["1.2.3.4"])
        #expect(addresses("fd00--1.default.pod.cluster.local", DNSNumber.typeAAAA) == ["fd00::1"])
        #expect(ask("dns-version.cluster.local", DNSNumber.typeTXT)?.answers.map(\.content) == [.text("1.1.0")])
        #expect(addresses("ns.dns.cluster.local") == ["10.100.0.10"])
        #expect(ask("cluster.local", DNSNumber.typeSOA)?.answers.count == 1)
        #expect(ask("cluster.local", DNSNumber.typeNS)?.answers.count == 1)
    }
}
