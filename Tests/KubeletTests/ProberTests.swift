import ContainerRuntime
import KubeAPI
import KubeClient
import Logging
import Testing

@testable import Kubelet

/// What the prober knows before a probe has run, and after some have ended.
struct ProberTests {
    private static let probes =
        #""startupProbe":{"exec":{"command":["x"]}},"readinessProbe":{"exec":{"command":["x"]}},"livenessProbe":{"exec":{"command":["x"]}}"#
    private static let running = Given.status([Given.sandbox()], [Given.container("a", .running)])

    private func prober() -> Prober {
        // No probe finds anything out: the runtime does not have the containers.
        let recorder = EventRecorder(client: FakeAPIServer().client, component: "kubelet", host: "n1", logger: Logger(label: "test"))
        return Prober(actions: ProbeActions(runtime: SimulatedRuntime(), userAgent: "kube-probe/test"), recorder: recorder) { _ in }
    }

    private func pod(id: String = "a-0", started: Bool = true, ready: Bool = true, podReady: String = "True") throws -> Pod {
        try Given.pod(
            #"{"containers":[{"name":"a","image":"i",\#(Self.probes)}]}"#,
            status: #"""
                {"conditions":[{"type":"Ready","status":"\#(podReady)"}],
                 "containerStatuses":[{"name":"a","containerID":"containerd://\#(id)","started":\#(started),"ready":\#(ready)}]}
                """#)
    }

    private func standing(_ pod: Pod, isTerminating: Bool = false) -> ProbeStanding {
        let prober = prober()
        defer { prober.stopAll() }
        prober.reconcile(pod, Self.running, isTerminating: isTerminating)
        return prober.results(podUID: pod.uid).standing
    }

    @Test("a new agent takes a running container to be as started and as ready as its pod's status says")
    func reported() throws {
        #expect(standing(try pod()) == ProbeStanding(ready: ["a-0"], started: ["a-0"]))
        #expect(standing(try pod(ready: false)) == ProbeStanding(started: ["a-0"]))
        #expect(standing(try pod(started: false, ready: false)) == ProbeStanding())
        #expect(standing(try pod(), isTerminating: true) == ProbeStanding(ready: ["a-0"], started: ["a-0"]))
    }

    @Test("what is told of another container, or ready in a pod that somebody has called not ready, does not count")
    func notReported() throws {
        #expect(standing(try pod(id: "a-1")) == ProbeStanding())
        #expect(standing(try pod(podReady: "False")) == ProbeStanding(started: ["a-0"]))
    }

    @Test("the end of the probes that restart containers leaves their results; the end of all leaves none")
    func stops() throws {
        let prober = prober()
        let pod = try pod()
        prober.reconcile(pod, Self.running)
        prober.stopRestarts(podUID: pod.uid)
        #expect(prober.results(podUID: pod.uid).standing == ProbeStanding(ready: ["a-0"], started: ["a-0"]))
        prober.reconcile(pod, Given.status([Given.sandbox()], [Given.container("a", .exited)]), isTerminating: true)
        #expect(prober.results(podUID: pod.uid).standing == ProbeStanding())
        prober.reconcile(pod, Self.running)
        prober.stop(podUID: pod.uid)
        #expect(prober.results(podUID: pod.uid).standing == ProbeStanding())
    }
}
