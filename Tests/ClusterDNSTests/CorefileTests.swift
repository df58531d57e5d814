import KubeAPI
import Testing

@testable import ClusterDNS

@Suite struct CorefileTests {
    private static let address = IPAddress("10.0.0.53")

    private func blocks(_ text: String) throws -> [ServerBlock] {
        try Corefile(text).blocks(source: FixedSource(), address: Self.address) { [] }
    }

    private func addresses(_ outcome: ServerBlock.Outcome) -> [String] {
        guard case .answer(let answer) = outcome else { return [] }
        return answer.answers.compactMap { if case .address(let address) = $0.content { address.description } else { nil } }
    }

    private func problem(_ text: String) -> String {
        do { _ = try Corefile(text) } catch { return "\(error)" }
        return ""
    }

    @Test("the standard Corefile is the cluster's zone, the host's servers and thirty seconds of memory") func standard() throws {
        let server = try #require(try Corefile(Corefile.standardText).servers.first)
        #expect(Corefile.standard.servers == [server])
        #expect(server.zones == [DNSName([])] && server.forwards.map(\.targets) == [[.host]])
        #expect(server.kubernetes?.answersPods == true && server.kubernetes?.ttl == 5)
        #expect(server.cache?.success == 30 && server.cache?.denial == 30 && !server.isLogged)
    }

    @Test("stub domains, hosts, ttl and log are read") func reading() throws {
        let corefile = try Corefile(
            """
            # ours
            .:53 {
                log
                hosts {
                    10.9.9.9 db.internal "cache.internal"  # two names
                    ttl 60
                    fallthrough
                }
                kubernetes cluster.local in-addr.arpa ip6.arpa {
                    pods disabled
                    ttl 15
                    fallthrough in-addr.arpa ip6.arpa
                }
                forward . 10.0.0.2:5353 dns://10.0.0.3 [fd00::1]:54 {
                    policy sequential
                    force_tcp
                    except Private.Example
                }
                cache 120 {
                    denial 100 7
                }
            }
            consul.local, corp.example:53 {
                forward . 10.150.0.1
            }
            """)
        #expect(corefile.servers.count == 2)
        let (first, second) = (corefile.servers[0], corefile.servers[1])
        #expect(first.isLogged && first.hosts?.ttl == 60 && first.hosts?.addresses.count == 2)
        #expect(first.kubernetes?.ttl == 15 && first.kubernetes?.answersPods == false)
        #expect(first.forwards.first?.targets.count == 3 && first.forwards.first?.isByTCP == true && first.forwards.first?.policy == .sequential)
        #expect(first.cache == Corefile.Cache(success: 120, denial: 7))
        #expect(first.forwards.first?.takes(DNSName("a.private.example")) == false)
        #expect(second.zones == [DNSName("consul.local"), DNSName("corp.example")] && second.cache == nil)
        #expect(second.forwards.first?.targets == [.address(IPAddress(number: 0x0A96_0001, isIPv6: false), 53)])
    }

    @Test("what cannot be read or done is an error with its line") func refusals() {
        #expect(problem(".:53 {\n  whoami\n}") == "Corefile:2 - Error during parsing: Unknown directive 'whoami'")
        #expect(problem(".:53 {\n  forward . /etc/resolv.conf").contains("Unexpected EOF"))
        #expect(problem(".:53 {\n  forward . tls://9.9.9.9\n}").contains("not an IP address or file"))
        #expect(problem(".:53 {\n  forward .\n}").contains("Wrong argument count"))
        #expect(problem(".:5353 {\n}").contains("only port 53"))
        #expect(problem(".:53 {\n}\n. {\n}").contains("two server blocks"))
        #expect(problem(".:53 {\n  cache 0\n}").contains("cache TTL"))
        #expect(problem(".:53 {\n  cache 30\n  cache 30\n}").contains("only be used once"))
        #expect(problem(".:53 {\n  kubernetes cluster.local {\n    endpoint http://x\n  }\n}").contains("'endpoint'"))
        #expect(problem(".:53 {\n  hosts /etc/hosts\n}").contains("files are not read"))
        #expect(problem(".:53 {\n  log . {\n }\n}").contains("log is supported without arguments"))
        #expect(problem("").contains("no server block") && problem("}").contains("begins with its zones"))
        #expect(problem(".:53 {\n \"open\n}").contains("quoted"))
    }

    @Test("hosts come before the cluster, and what falls through goes on") func hosts() throws {
        let block = try #require(
            try blocks(
                """
                . {
                    hosts {
                        10.9.9.9 db.internal web.default.svc.cluster.local
                        fallthrough
                    }
                    kubernetes cluster.local
                }
                """
            ).first)
        let outcome = block.outcome(DNSName("db.internal"), type: DNSNumber.typeA)
        #expect(addresses(outcome) == ["10.9.9.9"])
        #expect(addresses(block.outcome(DNSName("web.default.svc.cluster.local"), type: DNSNumber.typeA)) == ["10.9.9.9"])
        #expect(addresses(block.outcome(DNSName("six.default.svc.cluster.local"), type: DNSNumber.typeA)) == ["10.100.0.21"])
        guard case .nobody = block.outcome(DNSName("elsewhere.example"), type: DNSNumber.typeA) else {
            Issue.record("nobody is asked for other names")
            return
        }
        guard case .answer(let pointer) = block.outcome(DNSName("9.9.9.10.in-addr.arpa"), type: DNSNumber.typePTR) else {
            Issue.record("the address has names")
            return
        }
        #expect(pointer.answers.count == 2)
    }

    @Test("without fallthrough other names are denied") func denial() throws {
        let block = try #require(try blocks(". {\n hosts {\n 10.9.9.9 db.internal\n }\n forward . 10.0.0.2\n}").first)
        guard case .answer(let answer) = block.outcome(DNSName("other.internal"), type: DNSNumber.typeA) else {
            Issue.record("denied")
            return
        }
        #expect(answer.code == .nameError)
        guard case .answer(let empty) = block.outcome(DNSName("db.internal"), type: DNSNumber.typeAAAA) else {
            Issue.record("no address of that family")
            return
        }
        #expect(empty.code == .noError && empty.answers.isEmpty)
    }

    @Test("the block of the longest zone answers; pods and ttl are the block's") func zones() throws {
        let responder = Responder(
            try blocks(
                """
                . {
                    kubernetes cluster.local {
                        pods disabled
                        ttl 9
                    }
                }
                corp.example {
                    hosts {
                        10.1.1.1 a.corp.example
                    }
                }
                """))
        func ask(_ name: String) -> [UInt8] {
            nonisolated(unsafe) var found: [UInt8] = []
            responder.respond(to: message(name)[...], isStream: false) { found = $0 }
            return found
        }
        #expect(ask("a.corp.example").suffix(4) == [10, 1, 1, 1])
        let service = ask("web.default.svc.cluster.local")
        #expect(service.suffix(4) == [10, 100, 0, 20] && Array(service.suffix(10).prefix(4)) == [0, 0, 0, 9])
        #expect(ask("1-2-3-4.default.pod.cluster.local")[3] & 0xF == ResponseCode.nameError.rawValue)
        #expect(ask("b.corp.example")[3] & 0xF == ResponseCode.nameError.rawValue)
        #expect(ask("nobody.example")[3] & 0xF == ResponseCode.serverFailure.rawValue)
        responder.use(try blocks("corp.example {\n hosts {\n 10.1.1.2 a.corp.example\n }\n}"))
        #expect(ask("a.corp.example").suffix(4) == [10, 1, 1, 2])
        #expect(ask("web.default.svc.cluster.local")[3] & 0xF == ResponseCode.refused.rawValue, "no block has the zone")
    }

    @Test("the log's line is as CoreDNS's") func log() throws {
        let query = try DNSQuery(message("Example.com", id: 0x1234)[...])
        let line = QueryLog.line(
            query, DNSName("example.com"), client: "10.0.0.7:40000", transport: "udp", requestBytes: 29,
            answer: DNSEncoder.refusal(query, .nameError), elapsed: .milliseconds(2))
        #expect(line == "10.0.0.7:40000 - 4660 \"A IN example.com. udp 29 false 512\" NXDOMAIN qr,rd,ra 29 0.002s")
    }
}
