import ContainerRuntime
import KubeAPI
import Testing

@testable import Kubelet

/// Restart policies of containers, kernel settings, classes of runtimes: what a pod's spec says beyond the pod's own policy.
struct RestartRuleTests {
    private func plan(_ pod: Pod, _ containers: [RuntimeContainerStatus], verdicts: ProbeVerdicts = ProbeVerdicts()) -> PodActions {
        PodSync.plan(
            pod: pod, status: Given.status([Given.sandbox()], containers), verdicts: verdicts, backOff: Given.backOff, now: Given.now)
    }

    private func phase(_ pod: Pod, _ containers: [RuntimeContainerStatus]) -> PodPhase {
        PodStatusComputation(pod: pod, runtime: Given.status([Given.sandbox()], containers), hostIPs: ["10.0.0.1"], now: Given.now).compute().phase
    }

    private let ruled = #"""
        {"restartPolicy":"Never","containers":[{"name":"a","image":"i","restartPolicy":"Never",
          "restartPolicyRules":[{"action":"Restart","exitCodes":{"operator":"In","values":[42,43]}}]},{"name":"b","image":"i"}]}
        """#

    @Test("a rule for an exit code restarts the container whatever the policies say; other codes follow the container's policy")
    func rules() throws {
        let pod = try Given.pod(ruled)
        let other = Given.container("b", .exited, code: 0, ago: 1000)
        let again = Given.container("a", .exited, code: 42, ago: 1000)
        #expect(plan(pod, [again, other]).start == ["a"] && phase(pod, [again, other]) == .running)
        let over = Given.container("a", .exited, code: 1, ago: 1000)
        #expect(plan(pod, [over, other]).start.isEmpty && plan(pod, [over, other]).killPod && phase(pod, [over, other]) == .failed)
        let done = Given.container("a", .exited, code: 0, ago: 1000)
        #expect(phase(pod, [done, other]) == .succeeded)
        let notIn = try Given.pod(
            #"{"restartPolicy":"Never","containers":[{"name":"a","image":"i","restartPolicy":"Never","restartPolicyRules":[{"action":"Restart","exitCodes":{"operator":"NotIn","values":[7]}}]}]}"#
        )
        #expect(plan(notIn, [over]).start == ["a"] && plan(notIn, [Given.container("a", .exited, code: 7, ago: 1000)]).start.isEmpty)
    }

    @Test("a container's own policy stands before the pod's")
    func policies() throws {
        let pod = try Given.pod(
            #"{"restartPolicy":"Always","containers":[{"name":"a","image":"i","restartPolicy":"OnFailure"},{"name":"b","image":"i","restartPolicy":"Never"}]}"#
        )
        let (good, bad) = (Given.container("a", .exited, code: 0, ago: 1000), Given.container("a", .exited, code: 3, ago: 1000))
        let ended = Given.container("b", .exited, code: 9, ago: 1000)
        #expect(plan(pod, [bad, ended]).start == ["a"] && plan(pod, [good, ended]).killPod)
        #expect(phase(pod, [bad, ended]) == .running && phase(pod, [good, ended]) == .failed)
        let running = Given.container("b", .running, hash: pod.containers[1].hash)
        let killed = plan(pod, [good, running], verdicts: ProbeVerdicts(livenessFailed: [running.id]))
        #expect(killed.start.isEmpty && killed.kill.map(\.message) == ["Container b failed liveness probe"])
    }

    @Test("an init container whose rule restarts it does not fail the pod")
    func initContainers() throws {
        let pod = try Given.pod(
            #"{"restartPolicy":"Never","initContainers":[{"name":"init","image":"i","restartPolicy":"Never","restartPolicyRules":[{"action":"Restart","exitCodes":{"operator":"In","values":[42]}}]}],"containers":[{"name":"a","image":"i"}]}"#
        )
        let again = Given.container("init", .exited, code: 42, ago: 1000)
        #expect(plan(pod, [again]).startInit == ["init"] && phase(pod, [again]) == .pending)
        let over = Given.container("init", .exited, code: 1, ago: 1000)
        #expect(plan(pod, [over]).killPod && phase(pod, [over]) == .failed)
    }

    @Test("kernel settings that are not a namespace's own are refused in upstream's words")
    func sysctls() throws {
        func told(_ name: String, _ extra: String = "") throws -> String? {
            SysctlAdmission.rejection(
                try Given.pod(#"{\#(extra)"securityContext":{"sysctls":[{"name":"\#(name)","value":"1"}]},"containers":[{"name":"a","image":"i"}]}"#)
            )?.message
        }
        #expect(try told("kernel.shm_rmid_forced") == nil && (try told("net/ipv4/tcp_syncookies")) == nil)
        #expect(try told("kernel.msgmax") == #"forbidden sysctl: "kernel.msgmax" not allowlisted"#)
        #expect(
            try told("net.ipv4.tcp_syncookies", #""hostNetwork":true,"#)
                == #"forbidden sysctl: "net.ipv4.tcp_syncookies" not allowed with host net enabled"#)
        #expect(
            try told("kernel.shm_rmid_forced", #""hostIPC":true,"#)
                == #"forbidden sysctl: "kernel.shm_rmid_forced" not allowed with host ipc enabled"#)
        #expect(SysctlAdmission.dotted("net/ipv4/conf/eth0.1/x") == "net.ipv4.conf.eth0/1.x")
    }

    @Test("what this node's runtime cannot give is refused, not left out")
    func features() throws {
        func reason(_ spec: String) throws -> String? {
            FeatureAdmission.rejection(try Given.pod(#"{\#(spec),"containers":[{"name":"a","image":"i"}]}"#))?.reason
        }
        #expect(try reason(#""os":{"name":"linux"}"#) == nil)
        #expect(try reason(#""os":{"name":"windows"}"#) == "PodOSNotSupported")
        #expect(try reason(#""securityContext":{"supplementalGroupsPolicy":"Merge"}"#) == nil)
        #expect(try reason(#""securityContext":{"supplementalGroupsPolicy":"Strict"}"#) == "SupplementalGroupsPolicyNotSupported")
        #expect(
            SecuritySettings.seccomp(.localhost("profiles/strict.json"), rootDirectory: "/kubelet")
                == .localhost("/kubelet/seccomp/profiles/strict.json"))
        #expect(SecuritySettings.seccomp(.runtimeDefault, rootDirectory: "/kubelet") == .runtimeDefault)
    }
}
