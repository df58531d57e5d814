import KubeAPI
import Testing

@testable import KubeAPIServer

/// Upstream: pkg/api/service's warnings_test.go.
@Suite("Warnings of Services")
struct ServiceWarningsTests {
    private func warnings(_ spec: Value, annotations: Value = [:]) throws -> [String] {
        ServiceWarnings.warnings(try Object(["metadata": ["name": "s", "annotations": annotations], "spec": spec]))
    }

    @Test("a plain Service is told nothing")
    func plain() throws {
        #expect(try warnings(["type": "ClusterIP", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "sessionAffinity": "None"]).isEmpty)
    }

    @Test("what a headless Service cannot have is ignored")
    func headless() throws {
        let spec: Value = [
            "type": "ClusterIP", "clusterIP": "None", "clusterIPs": ["None"], "loadBalancerIP": "1.2.3.4", "externalIPs": ["1.2.3.5"],
            "sessionAffinity": "ClientIP",
        ]
        #expect(
            try warnings(spec) == [
                "spec.loadBalancerIP is ignored for headless services", "spec.externalIPs is ignored for headless services",
                "spec.SessionAffinity is ignored for headless services", "spec.externalIPs is deprecated",
            ])
    }

    @Test("fields that the type ignores, and old names")
    func others() throws {
        #expect(
            try warnings(["type": "ExternalName", "externalName": "a.b", "externalIPs": ["1.2.3.4"]]) == [
                "spec.externalIPs is deprecated", "spec.externalIPs is ignored when spec.type is \"ExternalName\"",
            ])
        #expect(
            try warnings(["type": "NodePort", "externalName": "a.b", "trafficDistribution": "PreferClose"]) == [
                "spec.externalName is ignored when spec.type is not \"ExternalName\"",
                "spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"",
            ])
        #expect(
            try warnings(["type": "ClusterIP"], annotations: ["service.kubernetes.io/topology-aware-hints": "auto"]) == [
                "annotation service.kubernetes.io/topology-aware-hints is deprecated, please use service.kubernetes.io/topology-mode instead"
            ])
    }

    @Test(
        "addresses in other forms than the standard ones",
        arguments: [
            ("1.2.3.4", nil), ("2001:db8::1", nil), ("x", nil),
            ("01.2.3.4", "f: non-standard IP address \"01.2.3.4\" will be considered invalid in a future Kubernetes release: use \"1.2.3.4\""),
            (
                "::ffff:1.2.3.4",
                "f: non-standard IP address \"::ffff:1.2.3.4\" will be considered invalid in a future Kubernetes release: use \"1.2.3.4\""
            ),
            ("2001:DB8:0::1", "f: IPv6 address \"2001:DB8:0::1\" should be in RFC 5952 canonical format (\"2001:db8::1\")"),
        ] as [(String, String?)])
    func addresses(text: String, warning: String?) { #expect(AddressRules.warnings("f", text) == [warning].compactMap { $0 }) }

    @Test(
        "ranges in other forms than the standard ones",
        arguments: [
            ("1.2.3.0/24", nil), ("2001:db8::/64", nil), ("x/1", nil), ("0.0.0.0/0", nil),
            ("1.2.3.4/24", "f: CIDR value \"1.2.3.4/24\" is ambiguous in this context (should be \"1.2.3.0/24\" or \"1.2.3.4/32\"?)"),
            (
                "01.2.3.0/24",
                "f: non-standard CIDR value \"01.2.3.0/24\" will be considered invalid in a future Kubernetes release: use \"1.2.3.0/24\""
            ),
            (
                "1.2.3.0/024",
                "f: non-standard CIDR value \"1.2.3.0/024\" will be considered invalid in a future Kubernetes release: use \"1.2.3.0/24\""
            ),
            ("2001:DB8::/64", "f: IPv6 CIDR value \"2001:DB8::/64\" should be in RFC 5952 canonical format (\"2001:db8::/64\")"),
        ] as [(String, String?)])
    func ranges(text: String, warning: String?) { #expect(AddressRules.rangeWarnings("f", text) == [warning].compactMap { $0 }) }
}
