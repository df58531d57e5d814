import KubeAPI
import Testing

@testable import CloudControllers

/// Objects as users write them.
enum IngressObjects {
    static let prefix = "alb.ingress.kubernetes.io/"

    static func ingress(
        _ name: String = "web", _ spec: Value = [:], annotations: [String: String] = [:], class name2: String? = "alb", finalizers: [String] = [],
        deleted: Bool = false
    ) throws -> Object {
        var spec = spec
        if let name2 { spec["ingressClassName"] = .string(name2) }
        var keys: [String: String] = [:]
        for (key, value) in annotations { keys[key.contains("/") ? key : prefix + key] = value }
        var metadata: Value = [
            "name": .string(name), "namespace": "default", "uid": .string("uid-\(name)"), "annotations": Value(keys), "finalizers": Value(finalizers),
        ]
        if deleted { metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z" }
        return try Object(["apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": metadata, "spec": spec])
    }

    static func path(_ path: String?, _ type: String = "Prefix", _ service: String = "web", port: Value = ["number": 80]) -> Value {
        var value: Value = ["pathType": .string(type), "backend": ["service": ["name": .string(service), "port": port]]]
        if let path { value["path"] = .string(path) }
        return value
    }

    static func rule(_ host: String?, _ paths: Value...) -> Value {
        var value: Value = ["http": ["paths": .array(paths)]]
        if let host { value["host"] = .string(host) }
        return value
    }

    static func ingressClass(_ name: String, _ controller: String) throws -> Object {
        try Object([
            "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": ["name": .string(name)],
            "spec": ["controller": .string(controller)],
        ])
    }
}

/// Which Ingresses are ours, and together.
@Suite struct IngressGroupsTests {
    private typealias Objects = IngressObjects

    private func sorting() throws -> IngressSorting {
        IngressSorting(classes: [
            "alb": try Objects.ingressClass("alb", "ingress.k8s.aws/alb"), "auto": try Objects.ingressClass("auto", "eks.amazonaws.com/alb"),
            "nginx": try Objects.ingressClass("nginx", "k8s.io/ingress-nginx"),
        ])
    }

    @Test("classes of both controllers and the old annotation are ours, others are not") func classes() throws {
        let sorting = try sorting()
        let alone = GroupID.alone(namespace: "default", name: "web")
        #expect(sorting.belonging(try Objects.ingress()) == .member(alone, isAutoMode: false))
        #expect(sorting.belonging(try Objects.ingress(class: "auto")) == .member(alone, isAutoMode: true))
        #expect(sorting.belonging(try Objects.ingress(class: "nginx")) == .stranger)
        #expect(sorting.belonging(try Objects.ingress(class: nil)) == .stranger)
        #expect(sorting.belonging(try Objects.ingress(deleted: true)) == .stranger)
        let annotation = "kubernetes.io/ingress.class"
        #expect(sorting.belonging(try Objects.ingress(annotations: [annotation: "alb"], class: nil)) == .member(alone, isAutoMode: false))
        #expect(sorting.belonging(try Objects.ingress(annotations: [annotation: "nginx"], class: "alb")) == .stranger)
        guard case .unclassed = sorting.belonging(try Objects.ingress(class: "gone")) else { return #expect(Bool(false), "there is no such class") }
    }

    @Test("a group's Ingresses are in order, and those that left are told apart") func groups() throws {
        let named = ["group.name": "shared"]
        let finalizer = "group.ingress.k8s.aws/shared"
        let groups = try sorting().groups([
            try Objects.ingress("b", annotations: named), try Objects.ingress("a", annotations: named),
            try Objects.ingress("z", annotations: ["group.name": "shared", "group.order": "-5"]),
            try Objects.ingress("left", finalizers: [finalizer]), try Objects.ingress("dying", finalizers: [finalizer], deleted: true),
        ])
        #expect(groups.map(\.id.name) == ["default_left", "shared"])
        let shared = try #require(groups.last)
        #expect(shared.members.map(\.ingress.metadata.name) == ["z", "a", "b"])
        #expect(shared.leaving.map(\.metadata.name) == ["dying", "left"] && shared.trouble == nil)
        #expect(shared.id.finalizer == finalizer && groups.first?.id.finalizer == "ingress.k8s.aws/resources")
    }

    @Test("an order that is none, and a class that is gone, leave the group as it is") func troubles() throws {
        let sorting = try sorting()
        let order = sorting.groups([try Objects.ingress(annotations: ["group.order": "1001"])])
        #expect(order.first?.trouble?.hasPrefix("explicit Ingress group order must be within [-1000:1000]") == true)
        let gone = sorting.groups([try Objects.ingress(class: "gone", finalizers: ["ingress.k8s.aws/resources"])])
        #expect(gone.first?.trouble?.contains("not found") == true && gone.first?.leaving.isEmpty == true)
        #expect(sorting.groups([try Objects.ingress(class: "gone")]).isEmpty)
    }

    @Test(
        "group names that could be something else are refused",
        arguments: ["", "A", "a_b", "../x", "-a", "a.", "a b", String(repeating: "a", count: 64)])
    func names(name: String) throws {
        guard case .misnamed = try sorting().belonging(try Objects.ingress(annotations: ["group.name": name])) else {
            return #expect(Bool(false), "\(name) is no name")
        }
    }

    @Test("a long name is short enough for a file, and still its own") func longNames() {
        let long = String(repeating: "a", count: 253)
        let (one, other) = (GroupID.alone(namespace: "default", name: long), GroupID.alone(namespace: "default", name: long + "b"))
        #expect(one.name.utf8.count <= 200 && one.name != other.name && one.name.hasPrefix("default_a"))
    }
}

/// What balancers Ingresses are.
@Suite struct IngressModelTests {
    private typealias Objects = IngressObjects

    private func service(_ name: String, type: String = "ClusterIP", annotations: [String: String] = [:]) throws -> Object {
        var port: Value = ["name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"]
        if type != "ClusterIP" { port["nodePort"] = 30080 }
        return try Object([
            "apiVersion": "v1", "kind": "Service",
            "metadata": ["name": .string(name), "namespace": "default", "annotations": Value(annotations)],
            "spec": ["type": .string(type), "ports": [port]],
        ])
    }

    private func slice(_ addresses: [(String, Bool)], type: String = "IPv4") throws -> Object {
        try Object([
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": ["name": "s", "namespace": "default"],
            "addressType": .string(type), "ports": [["name": "http", "port": 8080], ["name": "other", "port": 9]],
            "endpoints": .array(addresses.map { ["addresses": [.string($0.0)], "conditions": ["ready": .bool($0.1)]] }),
        ])
    }

    private func facts(_ services: [String: Object]) throws -> IngressFacts {
        let slices = [try slice([("10.0.1.2", true), ("10.0.1.1", true), ("10.0.1.9", false)]), try slice([("fd00::1", true)], type: "IPv6")]
        let node = try Object([
            "apiVersion": "v1", "kind": "Node", "metadata": ["name": "n"],
            "status": [
                "addresses": [["type": "InternalIP", "address": "10.0.0.5"]], "conditions": [["type": "Ready", "status": "True"]],
            ],
        ])
        let secret = try Object([
            "apiVersion": "v1", "kind": "Secret", "metadata": ["name": "tls", "namespace": "default", "uid": "u", "resourceVersion": "7"],
            "data": ["tls.crt": .string(Base64.encode(Array("CHAIN".utf8))), "tls.key": .string(Base64.encode(Array("KEY".utf8)))],
        ])
        return IngressFacts(
            service: { services[$0] }, slices: { _ in slices }, secret: { $0 == "default/tls" ? secret : nil }, nodes: [node])
    }

    private func build(_ ingresses: [Object], services: [String: Object]? = nil, isAutoMode: Bool = true) throws -> ApplicationBalancer {
        var group = IngressGroup(id: .named("g"))
        group.members = ingresses.map { .init(ingress: $0, isAutoMode: isAutoMode) }
        let both = ["default/web": try service("web"), "default/two": try service("two", type: "NodePort")]
        return try IngressModelBuilder(facts: try facts(services ?? both)).build(group)
    }

    private func complaint(_ spec: Value = [:], _ annotations: [String: String], isAutoMode: Bool = true) throws -> String {
        do {
            _ = try build([try Objects.ingress("web", spec, annotations: annotations)], isAutoMode: isAutoMode)
            return ""
        } catch let error as IngressModelError { return error.description }
    }

    private func one(_ path: Value) -> Value { ["rules": [Objects.rule(nil, path)]] }

    @Test("paths are in AWS's order: exact, prefixes from the longest, the others") func order() throws {
        let rule = Objects.rule(
            "Web.Example.com", Objects.path("/x*", "ImplementationSpecific"), Objects.path("/"), Objects.path("/foo/"), Objects.path("/foo", "Exact"))
        let rules = try build([try Objects.ingress("web", ["rules": [rule]])]).listeners.first?.rules ?? []
        #expect(
            rules.map(\.conditions) == [
                [.host(["web.example.com"]), .path(["/foo"])], [.host(["web.example.com"]), .path(["/foo", "/foo/*"])],
                [.host(["web.example.com"]), .path(["/*"])], [.host(["web.example.com"]), .path(["/x*"])],
            ])
        #expect(rules.allSatisfy { $0.action == .forward([.init(group: "tg:default_web:web:80", weight: 1)]) })
    }

    @Test("pods are targets, or nodes with node ports") func targets() throws {
        let pods = try build([try Objects.ingress("web", one(Objects.path("/", port: ["name": "http"])))]).targetGroups
        #expect(pods.map(\.name) == ["tg:default_web:web:80"])
        #expect(pods.first?.targets == [.init(address: "10.0.1.1", port: 8080), .init(address: "10.0.1.2", port: 8080)])
        let nodes = try build([try Objects.ingress("web", one(Objects.path("/", "Prefix", "two")))], isAutoMode: false).targetGroups
        #expect(nodes.first?.targets == [.init(address: "10.0.0.5", port: 30080)])
        #expect(try complaint(one(Objects.path("/")), [:], isAutoMode: false).contains("must be of type 'NodePort' or 'LoadBalancer'"))
        #expect(
            try complaint(one(Objects.path("/", port: ["number": 81])), [:]) == "ingress: default/web: unable to find port 81 on service default/web")
    }

    @Test("a Service or an action that is not there answers 503, nothing that fits 404") func missing() throws {
        let spec: Value = [
            "rules": [Objects.rule(nil, Objects.path("/", "Prefix", "gone"), Objects.path("/a", "Exact", "act", port: ["name": "use-annotation"]))]
        ]
        let listener = try #require(try build([try Objects.ingress("web", spec)]).listeners.first)
        #expect(listener.rules.map(\.action) == [.unavailable("Backend action does not exist"), .unavailable("Backend service does not exist")])
        #expect(listener.otherwise == .notFound && listener.port == 80)
    }

    @Test("actions answer, redirect and share") func actions() throws {
        func action(_ json: String) throws -> ApplicationBalancer.Action? {
            let spec = one(Objects.path("/", "Prefix", "act", port: ["name": "use-annotation"]))
            return try build([try Objects.ingress("web", spec, annotations: ["actions.act": json])]).listeners.first?.rules.first?.action
        }
        #expect(
            try action(#"{"type":"fixed-response","fixedResponseConfig":{"contentType":"text/plain","statusCode":"403","messageBody":"no"}}"#)
                == .respond(.init(status: 403, contentType: "text/plain", body: "no")))
        #expect(
            try action(#"{"Type":"redirect","RedirectConfig":{"Protocol":"HTTPS","Port":"443","Host":"x.#{host}","StatusCode":"HTTP_301"}}"#)
                == .redirect(.init(scheme: "https", host: "x.#{host}", port: "443", status: 301)))
        #expect(
            try action(
                #"{"type":"forward","forwardConfig":{"targetGroups":[{"serviceName":"web","servicePort":"80","weight":3},{"serviceName":"two","servicePort":80,"weight":1}]}}"#
            ) == .forward([.init(group: "tg:default_web:web:80", weight: 3), .init(group: "tg:default_web:two:80", weight: 1)]))
        for broken in [
            "{", #"{"type":"magic"}"#, #"{"type":"fixed-response","fixedResponseConfig":{"statusCode":"301"}}"#,
            #"{"type":"fixed-response","fixedResponseConfig":{"statusCode":"200","contentType":"text/x\nbind","messageBody":"a"}}"#,
            #"{"type":"redirect","redirectConfig":{"statusCode":"HTTP_301","path":"/a b"}}"#,
            #"{"type":"redirect","redirectConfig":{"statusCode":"HTTP_301","host":"a\r\nSet-Cookie:"}}"#,
            #"{"type":"forward","forwardConfig":{"targetGroups":[{"serviceName":"web","servicePort":80},{"serviceName":"two","servicePort":80}]}}"#,
            #"{"type":"forward","targetGroupARN":"arn:aws:x"}"#,
        ] { #expect(throws: IngressModelError.self, "\(broken)") { _ = try action(broken) } }
    }

    @Test("conditions stand beside host and path") func conditions() throws {
        let json = #"""
            [{"field":"http-header","httpHeaderConfig":{"httpHeaderName":"X-A","values":["b*"]}},
             {"field":"host-header","hostHeaderConfig":{"values":["*.b"]}},
             {"field":"query-string","queryStringConfig":{"values":[{"key":"v","value":"1"}]}},
             {"field":"source-ip","sourceIPConfig":{"values":["10.1.2.3/8"]}}]
            """#
        let ingress = try Objects.ingress("web", ["rules": [Objects.rule("a", Objects.path("/"))]], annotations: ["conditions.web": json])
        #expect(
            try build([ingress]).listeners.first?.rules.first?.conditions == [
                .header(name: "X-A", values: ["b*"]), .query([.init(key: "v", value: "1")]), .source(["10.0.0.0/8"]), .host(["a", "*.b"]),
                .path(["/*"]),
            ])
        let evil = #"[{"field":"http-header","httpHeaderConfig":{"httpHeaderName":"X) -m found #","values":["b"]}}]"#
        #expect(try complaint(one(Objects.path("/")), ["conditions.web": evil]).contains("no header field is called so"))
    }

    @Test(
        "paths that mean nothing are refused",
        arguments: [("/a*", "Exact"), ("/a?b", "Prefix"), ("/a\u{1}", "Exact"), ("/******", "ImplementationSpecific")])
    func paths(path: String, type: String) throws { #expect(try !complaint(one(Objects.path(path, type)), [:]).isEmpty) }

    @Test("certificates are those of spec.tls, and make the listener HTTPS") func secure() throws {
        let tls: Value = ["tls": [["secretName": "tls", "hosts": ["a"]]]]
        let plain = try build([try Objects.ingress("web", tls)]).listeners
        #expect(plain.map(\.port) == [443] && plain.first?.certificates == [.init(name: "u-7", pem: "CHAIN\nKEY\n")])
        let both = ["listen-ports": #"[{"HTTP": 80}, {"HTTPS": 443}]"#, "ssl-redirect": "443"]
        let listeners = try build([try Objects.ingress("web", tls, annotations: both)]).listeners
        #expect(listeners.map(\.port) == [80, 443] && listeners.map(\.isSecure) == [false, true])
        #expect(listeners.first?.otherwise == .redirect(.init(scheme: "https", port: "443", status: 301)))
        #expect(try complaint([:], both).contains("has no certificate"))
        #expect(try complaint([:], ["certificate-arn": "arn:aws:acm:x"]).contains("name a Secret"))
        #expect(try complaint(["tls": [["secretName": "gone"]]], [:]).contains("the Secret default/gone"))
        #expect(try complaint([:], ["ssl-redirect": "443"]) == "listener does not exist for SSLRedirect port: 443")
    }

    @Test("settings that are none are said, and what would leave a door open is refused")
    func settings() throws {
        for annotations in [
            ["listen-ports": "[]"], ["listen-ports": "x"], ["listen-ports": #"[{"HTTP": 70000}]"#], ["listen-ports": #"[{"TCP": 80}]"#],
            ["inbound-cidrs": "10.0.0.0/99"], ["scheme": "public"], ["load-balancer-name": String(repeating: "a", count: 33)], ["tags": "novalue"],
            ["auth-type": "oidc"], ["mutual-authentication": "[]"], ["use-regex-path-match": "true"], ["transforms.web": "[]"],
            ["target-type": "lambda"], ["backend-protocol": "SPDY"], ["healthcheck-path": "health"], ["healthcheck-path": "/a b"],
            ["healthcheck-interval-seconds": "1"], ["success-codes": "200 or so"], ["success-codes": "200-"], ["healthcheck-port": "nope"],
            ["target-group-attributes": "stickiness.enabled=true,stickiness.type=app_cookie"],
            ["load-balancer-attributes": "idle_timeout.timeout_seconds=0"],
        ] { #expect(try !complaint(one(Objects.path("/")), annotations).isEmpty, "\(annotations)") }
        #expect(try complaint(one(Objects.path("/")), ["auth-type": "none", "scheme": "internal", "inbound-cidrs": "10.0.0.0/8, ::/0"]).isEmpty)
    }

    @Test("ranges that are none of IPv4 shut it out rather than open it") func ranges() throws {
        func ranges(_ text: String) throws -> [String]? {
            try build([try Objects.ingress(annotations: ["inbound-cidrs": text])]).listeners.first?.sourceRanges
        }
        #expect(try ranges("10.1.2.3/8, fd00::/8") == ["10.0.0.0/8"] && ranges("fd00::/8") == ["255.255.255.255/32"])
    }

    @Test("a Service's annotations come before its Ingress's") func annotations() throws {
        let own = ["\(Objects.prefix)healthcheck-path": "/mine", "\(Objects.prefix)target-group-attributes": "stickiness.enabled=true"]
        let services = ["default/web": try service("web", annotations: own)]
        let ingress = try Objects.ingress(
            "web", one(Objects.path("/")), annotations: ["healthcheck-path": "/other", "healthcheck-port": "8081", "success-codes": "200-299"])
        let group = try #require(try build([ingress], services: services).targetGroups.first)
        #expect(group.check.path == "/mine" && group.check.port == 8081 && group.check.codes == "200-299" && group.stickiness == 86_400)
    }

    @Test("Ingresses of a group must agree") func conflicts() throws {
        func conflict(_ a: [String: String], _ b: [String: String]) throws -> Bool {
            do {
                _ = try build([try Objects.ingress("a", annotations: a), try Objects.ingress("b", annotations: b)])
                return false
            } catch is IngressModelError { return true }
        }
        #expect(try conflict(["scheme": "internal"], ["scheme": "internet-facing"]))
        #expect(try conflict(["load-balancer-name": "x"], ["load-balancer-name": "y"]))
        #expect(try conflict(["inbound-cidrs": "10.0.0.0/8"], ["inbound-cidrs": "11.0.0.0/8"]))
        #expect(try !conflict(["inbound-cidrs": "10.0.0.0/8"], [:]))
    }

    @Test("the Services that an Ingress names are those of its rules, its default and its actions") func references() throws {
        let forward = #"{"type":"forward","forwardConfig":{"targetGroups":[{"serviceName":"c","servicePort":80}]}}"#
        let spec: Value = [
            "rules": [Objects.rule(nil, Objects.path("/", "Prefix", "a"))], "defaultBackend": ["service": ["name": "b", "port": ["number": 1]]],
        ]
        #expect(
            IngressReferences.services(try Objects.ingress("web", spec, annotations: ["actions.x": forward, "actions.y": "{"])) == ["a", "b", "c"])
    }
}
