import KubeAPI
import Testing

@testable import KubeAPIServer

@Suite("Pod Security Standards")
struct PodSecurityTests {
    private let reader = MemoryReader()
    private let ann = UserInfo(name: "ann")
    /// Fulfils `restricted`.
    private static let good = """
        {"securityContext":{"runAsNonRoot":true,"seccompProfile":{"type":"RuntimeDefault"}},"containers":[{"name":"c","image":"i",
        "securityContext":{"allowPrivilegeEscalation":false,"capabilities":{"drop":["ALL"]}}}]}
        """

    private func details(_ spec: String, _ level: PodSecurityLevel, _ minor: Int? = nil, metadata: String = "{}") throws -> String {
        let pod = try Object(json: #"{"metadata":\#(metadata),"spec":\#(spec)}"#)
        let found = PodSecurityEvaluator.evaluate(
            PodSecurityLevelVersion(level: level, version: PodSecurityVersion(minor: minor)),
            PodSecuritySubject(metadata: pod["metadata"], spec: pod["spec"]))
        return PodSecurityEvaluator.details(found)
    }

    @Test("an ordinary pod violates restricted in upstream's words, and nothing of baseline")
    func ordinary() throws {
        let spec = #"{"containers":[{"name":"x","image":"i"}]}"#
        #expect(try details(spec, .baseline) == "")
        #expect(
            try details(spec, .restricted)
                == #"allowPrivilegeEscalation != false (container "x" must set securityContext.allowPrivilegeEscalation=false), "#
                + #"unrestricted capabilities (container "x" must set securityContext.capabilities.drop=["ALL"]), "#
                + #"runAsNonRoot != true (pod or container "x" must set securityContext.runAsNonRoot=true), "#
                + #"seccompProfile (pod or container "x" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")"#)
        #expect(try details(Self.good, .restricted) == "")
    }

    @Test(
        "each control of baseline",
        arguments: [
            (#"{"hostNetwork":true,"hostPID":true,"containers":[]}"#, "host namespaces (hostNetwork=true, hostPID=true)"),
            (
                #"{"containers":[{"name":"a","securityContext":{"privileged":true}},{"name":"b","securityContext":{"privileged":true}}]}"#,
                #"privileged (containers "a", "b" must not set securityContext.privileged=true)"#
            ),
            (
                #"{"containers":[{"name":"a","securityContext":{"capabilities":{"add":["NET_RAW","CHOWN","BPF"]}}}]}"#,
                #"non-default capabilities (container "a" must not include "BPF", "NET_RAW" in securityContext.capabilities.add)"#
            ),
            (#"{"volumes":[{"name":"v","hostPath":{"path":"/"}}]}"#, #"hostPath volumes (volume "v")"#),
            (
                #"{"containers":[{"name":"a","ports":[{"hostPort":8080},{"hostPort":9090}]}]}"#,
                #"hostPort (container "a" uses hostPorts 8080, 9090)"#
            ),
            (
                #"{"containers":[{"name":"a","livenessProbe":{"httpGet":{"host":"1.2.3.4"}}}]}"#,
                #"probe or lifecycle host (container "a" uses probe or lifecycle host "1.2.3.4")"#
            ),
            (
                #"{"containers":[{"name":"a","securityContext":{"procMount":"Unmasked"}}]}"#,
                #"procMount (container "a" must not set securityContext.procMount to "Unmasked")"#
            ),
            (
                #"{"securityContext":{"seLinuxOptions":{"type":"bad","user":"u"}},"containers":[]}"#,
                #"seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: type "bad"; user may not be set)"#
            ),
            (
                #"{"securityContext":{"seccompProfile":{"type":"Unconfined"}},"containers":[]}"#,
                #"seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")"#
            ),
            (#"{"securityContext":{"sysctls":[{"name":"a.b"},{"name":"net.ipv4.tcp_rmem"}]}}"#, "forbidden sysctls (a.b)"),
            (
                #"{"securityContext":{"windowsOptions":{"hostProcess":true}},"containers":[{"name":"a","securityContext":{"windowsOptions":{"hostProcess":true}}}]}"#,
                #"hostProcess (pod and container "a" must not set securityContext.windowsOptions.hostProcess=true)"#
            ),
            (
                #"{"securityContext":{"appArmorProfile":{"type":"Unconfined"}}}"#,
                #"forbidden AppArmor profile (pod must not set AppArmor profile type to "Unconfined")"#
            ),
        ])
    func baseline(spec: String, expected: String) throws { #expect(try details(spec, .baseline) == expected) }

    @Test("versions: what was not checked yet, and what was let through later")
    func versions() throws {
        let ordinary = #"{"containers":[{"name":"x","image":"i"}]}"#
        #expect(try details(ordinary, .restricted, 0) == #"runAsNonRoot != true (pod or container "x" must set securityContext.runAsNonRoot=true)"#)
        let probe = #"{"containers":[{"name":"a","livenessProbe":{"tcpSocket":{"host":"h"}}}]}"#
        #expect(try details(probe, .baseline, 33) == "")
        #expect(try details(probe, .baseline, 34) != "")
        let sysctl = #"{"securityContext":{"sysctls":[{"name":"net.ipv4.ip_local_reserved_ports"}]}}"#
        #expect(try details(sysctl, .baseline, 26) != "")
        #expect(try details(sysctl, .baseline, 27) == "")
        let engine = #"{"securityContext":{"seLinuxOptions":{"type":"container_engine_t"}}}"#
        #expect(try details(engine, .baseline, 30) != "")
        #expect(try details(engine, .baseline, 31) == "")
        let unmasked = #"{"hostUsers":false,"containers":[{"name":"a","securityContext":{"procMount":"Unmasked"}}]}"#
        #expect(try details(unmasked, .baseline, 34) != "")
        #expect(try details(unmasked, .baseline, 35) == "")
        #expect(try details(unmasked, .restricted).contains("procMount"))
        let annotated = #"{"annotations":{"seccomp.security.alpha.kubernetes.io/pod":"unconfined"}}"#
        #expect(
            try details("{}", .baseline, 18, metadata: annotated)
                == #"seccompProfile (forbidden annotation seccomp.security.alpha.kubernetes.io/pod="unconfined")"#)
        #expect(try details("{}", .baseline, 19, metadata: annotated) == "")
        let windows = #"{"os":{"name":"windows"},"containers":[{"name":"a","securityContext":{"runAsNonRoot":true}}]}"#
        #expect(try details(windows, .restricted) == "")
        #expect(try details(windows, .restricted, 99) == "", "a version of the future is the newest")
    }

    @Test("restricted names the types of volumes it refuses")
    func volumes() throws {
        let spec = #"{"volumes":[{"name":"a","hostPath":{}},{"name":"b","nfs":{}},{"name":"c","emptyDir":{}}],"containers":[]}"#
        #expect(try details(spec, .restricted) == #"restricted volume types (volumes "a", "b" use restricted volume types "hostPath", "nfs")"#)
    }

    private func namespace(_ labels: String) throws {
        try reader.set(.namespaces, #"{"kind":"Namespace","metadata":{"name":"default","labels":\#(labels)}}"#)
    }

    @Test("enforce refuses pods; warn and audit leave them alone; templates are never refused")
    func enforcement() async throws {
        let plugin = PodSecurityAdmission(reader: reader)
        let pod = #"{"kind":"Pod","metadata":{"name":"p"},"spec":{"hostNetwork":true,"containers":[]}}"#
        try namespace("{}")
        #expect(try await refusal(plugin, .create, .pods, pod, user: ann) == nil)
        try namespace(#"{"pod-security.kubernetes.io/enforce":"baseline","pod-security.kubernetes.io/enforce-version":"v1.30"}"#)
        #expect(
            try await refusal(plugin, .create, .pods, pod, user: ann)
                == #"pods "p" is forbidden: violates PodSecurity "baseline:v1.30": host namespaces (hostNetwork=true)"#)
        #expect(try await refusal(plugin, .update, .pods, pod, old: pod, subresource: "status", user: ann) == nil)
        #expect(try await refusal(plugin, .update, .pods, pod, old: pod, user: ann) == nil, "an update that changes nothing of importance")
        let debugged = pod.replacing(#""containers""#, with: #""ephemeralContainers":[{"name":"d","image":"i"}],"containers""#)
        #expect(
            try await refusal(plugin, .update, .pods, debugged, old: pod, subresource: "ephemeralcontainers", user: ann)?.contains("violates") == true
        )
        let deployment = #"{"kind":"Deployment","metadata":{"name":"d"},"spec":{"template":{"spec":{"hostNetwork":true}}}}"#
        #expect(try await refusal(plugin, .create, GroupResource(group: "apps", resource: "deployments"), deployment, user: ann) == nil)
        var exempt = plugin
        exempt.exemptUsers = ["ann"]
        #expect(try await refusal(exempt, .create, .pods, pod, user: ann) == nil)
    }

    @Test("labels that cannot be read are refused, unless they were there before")
    func labels() async throws {
        let plugin = PodSecurityAdmission(reader: reader)
        func space(_ level: String) -> String {
            #"{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"n","labels":{"pod-security.kubernetes.io/enforce":"\#(level)"}}}"#
        }
        #expect(
            try await refusal(plugin, .create, .namespaces, space("strict"), namespace: "n", user: ann)
                == #"Namespace "n" is invalid: metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: "strict": must be one of privileged, baseline, restricted"#
        )
        #expect(try await refusal(plugin, .update, .namespaces, space("strict"), old: space("strict"), namespace: "n", user: ann) == nil)
        #expect(PodSecurityVersion("v1.030") == nil && PodSecurityVersion("1.30") == nil && PodSecurityVersion("v1.0")?.minor == 0)
    }

    @Test("a stricter level tells of the pods that would violate it, alike pods together")
    func existingPods() throws {
        let pods = try ["b", "a", "c"].map { name in
            try Object(json: #"{"metadata":{"name":"\#(name)"},"spec":{"hostNetwork":true,"containers":[]}}"#)
        }
        let other = try Object(
            json: #"{"metadata":{"name":"z"},"spec":{"hostPID":true,"containers":[{"name":"x","securityContext":{"privileged":true}}]}}"#)
        let policy = PodSecurityLevelVersion(level: .baseline, version: .latest)
        #expect(
            PodSecurityAdmission.warnings(of: pods + [other], in: "n", policy) == [
                #"existing pods in namespace "n" violate the new PodSecurity enforce level "baseline:latest""#,
                "a (and 2 other pods): host namespaces", "z: host namespaces, privileged",
            ])
    }
}
