import Testing

@testable import CloudControllers

/// The proxy's configuration, word by word.
@Suite struct ProxyTextTests {
    private typealias Balancer = ApplicationBalancer

    private func text(_ rules: [ApplicationBalancer.Rule], groups: [ApplicationBalancer.TargetGroup] = []) -> String {
        ProxyText.part(.init(id: "default_web", listeners: [.init(port: 80, rules: rules)], targetGroups: groups), at: "10.0.0.9").text
    }

    private func lines(_ rules: [ApplicationBalancer.Rule], with prefix: String) -> [String] {
        text(rules).split(separator: "\n").map { String($0).trimmed }.filter { $0.hasPrefix(prefix) }
    }

    @Test("hosts and paths lead to a target group's servers; to all of them when none is well") func forward() {
        let rule = Balancer.Rule(
            conditions: [.host(["web.example.com"]), .path(["/app", "/app/*"])], action: .forward([.init(group: "tg:default_web:web:80", weight: 1)]))
        let group = Balancer.TargetGroup(
            name: "tg:default_web:web:80", targets: [.init(address: "10.0.1.10", port: 8080), .init(address: "10.0.1.11", port: 8080)])
        #expect(
            text([rule], groups: [group]) == """
                frontend lb:default_web:80
                    bind 10.0.0.9:80 transparent
                    timeout client 60s
                    timeout http-keep-alive 60s
                    http-request set-header X-Forwarded-Proto http
                    http-request set-header X-Forwarded-Port 80
                    acl r1.1 req.hdr(host),host_only,lower -m str -- web.example.com
                    acl r1.2 path -m str -- /app
                    acl r1.2 path -m beg -- /app/
                    use_backend tg:default_web:web:80:open if r1.1 r1.2 { nbsrv(tg:default_web:web:80) eq 0 }
                    use_backend tg:default_web:web:80 if r1.1 r1.2
                    use_backend lb:default_web:80:default
                backend lb:default_web:80:default
                    http-request return status 404
                backend tg:default_web:web:80
                    balance roundrobin
                    timeout server 60s
                    timeout tunnel 60s
                    option httpchk
                    http-check send meth GET uri / ver HTTP/1.1 hdr Host 10.0.0.9 hdr User-Agent ELB-HealthChecker/2.0
                    http-check expect status 200
                    timeout check 5s
                    server 10.0.1.10:8080 10.0.1.10:8080 check inter 15s fall 2 rise 2
                    server 10.0.1.11:8080 10.0.1.11:8080 check inter 15s fall 2 rise 2
                backend tg:default_web:web:80:open
                    balance roundrobin
                    timeout server 60s
                    timeout tunnel 60s
                    server 10.0.1.10:8080 10.0.1.10:8080
                    server 10.0.1.11:8080 10.0.1.11:8080

                """)
    }

    @Test("servers of IPv6 are written so that their port is told apart") func ipv6() {
        let rule = Balancer.Rule(conditions: [], action: .forward([.init(group: "tg", weight: 1)]))
        let group = Balancer.TargetGroup(name: "tg", targets: [.init(address: "2001:db8::7", port: 8080)])
        #expect(text([rule], groups: [group]).contains("server 2001:db8::7:8080 [2001:db8::7]:8080 check "))
    }

    @Test("HTTPS has its certificates and HTTP/2, and shuts out who is not of its ranges") func secure() {
        var balancer = Balancer(id: "shared")
        balancer.idleTimeout = 30
        balancer.listeners = [
            .init(port: 443, certificates: [.init(name: "u1-7", pem: "one"), .init(name: "u2-9", pem: "two")], sourceRanges: ["10.0.0.0/8"])
        ]
        let part = ProxyText.part(balancer, at: "10.0.0.9")
        #expect(part.certificates == ["u1-7": "one", "u2-9": "two"] && part.ports == [443])
        #expect(!part.text.contains("one"), "certificates are no part of the text")
        #expect(
            part.text == """
                frontend lb:shared:443
                    bind 10.0.0.9:443 transparent ssl crt shared/u1-7.pem crt shared/u2-9.pem alpn h2,http/1.1
                    timeout client 30s
                    timeout http-keep-alive 30s
                    acl inbound src -- 10.0.0.0/8
                    tcp-request connection reject unless inbound
                    http-request set-header X-Forwarded-Proto https
                    http-request set-header X-Forwarded-Port 443
                    use_backend lb:shared:443:default
                backend lb:shared:443:default
                    http-request return status 404

                """)
    }

    @Test("a target group's settings are its servers'") func settings() {
        var group = Balancer.TargetGroup(name: "tg:a_b:c:443", targets: [.init(address: "10.0.1.12", port: 8443)], isSecure: true, version: .http2)
        group.stickiness = 60
        group.balance = .leastOutstanding
        group.check.port = 9
        group.check.path = "/health?a=1"
        group.check.codes = "200,202-204"
        let text = text([], groups: [group])
        for line in [
            "balance leastconn", "cookie AWSALB insert indirect nocache dynamic maxlife 60s", "dynamic-cookie-key tg:a_b:c:443",
            "http-check send meth GET uri /health?a\\x3d1 ver HTTP/1.1 hdr Host 10.0.0.9 hdr User-Agent ELB-HealthChecker/2.0",
            "http-check expect status 200,202-204",
            "server 10.0.1.12:8443 10.0.1.12:8443 check inter 15s fall 2 rise 2 port 9 no-check-ssl verify none check-proto h2 ssl alpn h2",
            "server 10.0.1.12:8443 10.0.1.12:8443 ssl verify none alpn h2",
        ] { #expect(text.contains("    \(line)\n"), "\(line)") }
    }

    @Test("weights are chances among those that are left, and a weight of nothing is none") func weights() {
        let shares = [("a", 70), ("b", 0), ("c", 20), ("d", 10)].map { Balancer.Share(group: $0.0, weight: $0.1) }
        let rule = Balancer.Rule(conditions: [.path(["/x"])], action: .forward(shares))
        #expect(
            lines([rule], with: "http-request set-var") == ["http-request set-var(txn.draw1) rand(100)", "http-request set-var(txn.draw2) rand(30)"])
        #expect(
            lines([rule], with: "use_backend").filter { !$0.contains("nbsrv") } == [
                "use_backend a if r1.1 { var(txn.draw1) -m int lt 70 }", "use_backend c if r1.1 { var(txn.draw2) -m int lt 20 }",
                "use_backend d if r1.1", "use_backend lb:default_web:80:default",
            ])
        let nobody = Balancer.Rule(conditions: [], action: .forward([.init(group: "a", weight: 0)]))
        #expect(text([nobody]).contains("backend lb:default_web:80:1\n    http-request return status 503\n"))
    }

    @Test("redirects fill in what they keep, and leave no lone question mark") func redirects() {
        let kept = Balancer.Rule(conditions: [.path(["/a"])], action: .redirect(.init(scheme: "https", port: "443", status: 301)))
        #expect(
            lines([kept], with: "http-request redirect") == [
                "http-request redirect location https://%[req.hdr(host),host_only]:443/%[path,regsub(^/,)]?%[query] code 301 if { query -m found }",
                "http-request redirect location https://%[req.hdr(host),host_only]:443/%[path,regsub(^/,)] code 301",
            ])
        let fixed = Balancer.Rule(conditions: [.path(["/a"])], action: .redirect(.init(host: "x.#{host}", path: "/100%[src]", query: "a=%41")))
        #expect(
            lines([fixed], with: "http-request redirect") == [
                "http-request redirect location http://x.%[req.hdr(host),host_only]:80/100%%\\x5bsrc\\x5d?a\\x3d%%41 code 302"
            ])
    }

    @Test("other conditions are the proxy's matchers") func conditions() {
        let rule = Balancer.Rule(
            conditions: [
                .header(name: "X-Kind", values: ["a b*", "c"]), .method(["GET"]), .source(["10.1.0.0/16"]),
                .query([.init(key: "v", value: "1"), .init(key: nil, value: "a*b")]), .path(["*"]),
            ], action: .notFound)
        #expect(
            lines([rule], with: "acl") == [
                "acl r1.1 req.fhdr(X-Kind) -m beg -i -- a\\x20b", "acl r1.1 req.fhdr(X-Kind) -m str -i -- c", "acl r1.2 method -m str -- GET",
                "acl r1.3 src -- 10.1.0.0/16", "acl r1.4 url_param(v) -m str -i -- 1",
                "acl r1.4 query -m reg -i -- (^\\x7c\\x26)\\x5b^\\x26\\x3d\\x5d*\\x3da\\x5b^\\x26\\x5d*b(\\x26\\x7c\\x24)", "acl r1.5 path -m found",
            ])
    }

    @Test("what users write cannot leave its place") func hostile() {
        let evil = "x\"y'$HOME #\\ {z}\n    bind 0.0.0.0:1\r%[src]\t;`"
        let rule = Balancer.Rule(
            conditions: [.host([evil]), .path([evil, "/a*" + evil])], action: .respond(.init(status: 200, contentType: "text/html", body: evil)))
        let text = text([rule])
        let heads = text.split(separator: "\n").map { $0.split(separator: " ").first.map(String.init) ?? "" }
        #expect(Set(heads) == ["frontend", "bind", "timeout", "http-request", "acl", "use_backend", "backend"])
        #expect(heads.filter { $0 == "bind" }.count == 1)
        for character in ["\"", "'", "$", "#", "`", ";", "\r", "\t", "%["] { #expect(!text.contains(character), "\(character)") }
        #expect(text.contains("content-type text/html string x\\x22y\\x27\\x24HOME\\x20\\x23\\x5c\\x20\\x7bz\\x7d\\x0a"))
    }
}

/// Patterns with wildcards.
@Suite struct ProxyPatternTests {
    @Test(
        "a pattern is the cheapest matcher that does it",
        arguments: [
            ("/a", "str", "/a"), ("/a/*", "beg", "/a/"), ("*", "found", ""), ("*.a.b", "reg", "^.*\\.a\\.b$"), ("/a?c", "reg", "^/a.c$"),
            ("/a*b*c", "reg", "^/a(?>.*?b).*c$"), ("a**b", "reg", "^a.*b$"), ("(x)*[y]", "reg", "^\\(x\\).*\\[y\\]$"),
        ])
    func matchers(pattern: String, method: String, text: String) {
        let found = ProxyPattern(pattern)
        #expect(found.method == method && found.text == text)
    }

    @Test("a pattern's expression matches what the pattern means") func meaning() throws {
        func matches(_ pattern: String, _ text: String) throws -> Bool { try Regex(ProxyPattern(pattern).text).wholeMatch(in: text) != nil }
        #expect(try matches("/a*b*c", "/abbc") && matches("/a*b*c", "/axbxbxc") && !matches("/a*b*c", "/acb"))
        #expect(try matches("*.a.b", "x.a.b") && !matches("*.a.b", "xaab") && matches("/?*/x", "/a/b/x") && !matches("/?*/x", "//x"))
    }
}
