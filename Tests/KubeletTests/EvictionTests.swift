import ContainerRuntime
import Glibc
import KubeAPI
import Logging
import Testing

@testable import Kubelet

/// Node-pressure eviction: when, whom, and in which words.
struct EvictionTests {
    private func memory(_ available: Int64) -> NodeObservations {
        [.memoryAvailable: SignalObservation(available: Quantity(available << 20, .binarySI), capacity: Quantity(4 << 30, .binarySI))]
    }

    @Test("a hard threshold acts at once, and the condition stays for its transition period")
    func hard() {
        var state = EvictionState(.standard)
        #expect(state.observe(memory(500), at: 0).isEmpty && state.pressures.isEmpty)
        #expect(state.observe(memory(99), at: 10).map(\.signal) == [.memoryAvailable] && state.pressures == [.memory])
        #expect(state.observe(memory(500), at: 20).isEmpty && state.pressures == [.memory])
        #expect(state.observe(memory(500), at: 309).isEmpty && state.pressures == [.memory])
        #expect(state.observe(memory(500), at: 311).isEmpty && state.pressures.isEmpty)
    }

    @Test("a soft threshold acts after its grace; once met, more than it must be free")
    func soft() {
        let threshold = EvictionThreshold(
            .memoryAvailable, .percent(25), grace: 60, minimumReclaim: .quantity(Quantity(100 << 20, .binarySI)))
        var state = EvictionState(EvictionPolicy(thresholds: [threshold]))
        #expect(state.observe(memory(1000), at: 0).isEmpty && state.pressures == [.memory], "a quarter of 4 GiB")
        #expect(state.observe(memory(1000), at: 59).isEmpty)
        #expect(state.observe(memory(1000), at: 60) == [threshold])
        #expect(state.observe(memory(1100), at: 70) == [threshold] && !state.isResolved(memory(1100)))
        #expect(state.observe(memory(1124), at: 80).isEmpty && state.isResolved(memory(1124)))
        #expect(state.observe(memory(1100), at: 90).isEmpty, "it was resolved")
    }

    @Test("memory comes before disk")
    func urgency() {
        var state = EvictionState(.standard)
        var seen = memory(1)
        seen[.nodeFsAvailable] = SignalObservation(available: Quantity(1), capacity: Quantity(1000))
        #expect(state.observe(seen, at: 0).map(\.signal) == [.memoryAvailable, .nodeFsAvailable] && state.pressures == [.memory, .disk])
    }

    private func usage(_ name: String, request: String?, uses: Int64, priority: Int = 0) throws -> PodUsage {
        let resources = request.map { #","resources":{"requests":{"memory":"\#($0)"}}"# } ?? ""
        let pod = Pod(
            try Object(
                json: """
                    {"metadata":{"name":"\(name)","namespace":"default","uid":"\(name)"},"spec":{"priority":\(priority),"containers":[{"name":"a","image":"i"\(resources)}]}}
                    """))
        return PodUsage(pod: pod, containers: [.init(name: "a", memory: uses << 20)], memory: uses << 20)
    }

    @Test("pods over their requests go first, then those of low priority, then those that are over by most")
    func ranking() throws {
        let pods = [
            try usage("within", request: "500Mi", uses: 400), try usage("important", request: nil, uses: 900, priority: 100),
            try usage("little", request: "100Mi", uses: 150), try usage("much", request: "100Mi", uses: 300),
        ]
        #expect(EvictionRanking.ranked(pods, for: .memory).map(\.pod.name) == ["much", "little", "important", "within"])
    }

    @Test("the message names resource, threshold and the containers over their requests")
    func message() throws {
        let threshold = EvictionPolicy.standard.thresholds[0]
        let text = EvictionMessages.starved(threshold, memory(50)[.memoryAvailable], try usage("web", request: "100Mi", uses: 300))
        #expect(
            text == "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. "
                + "Container a was using 300Mi, request is 100Mi, has larger consumption of memory. ")
    }

    @Test("a volume, a pod and a container over what they may keep on the disk are told which")
    func localStorage() throws {
        let pod = try Given.pod(
            #"{"containers":[{"name":"a","image":"i","resources":{"limits":{"ephemeral-storage":"20Mi"}}},{"name":"b","image":"i","resources":{"limits":{"ephemeral-storage":"20Mi"}}}],"volumes":[{"name":"cache","emptyDir":{"sizeLimit":"10Mi"}},{"name":"free","emptyDir":{}}]}"#
        )
        func told(_ cache: Int64, _ free: Int64, _ a: Int64) -> String? {
            EvictionMessages.localStorage(
                PodUsage(
                    pod: pod, containers: [.init(name: "a", storage: a << 20), .init(name: "b")], volumes: ["cache": cache << 20, "free": free << 20])
            )
        }
        #expect(told(10, 5, 20) == nil && EvictionMessages.hasStorageLimit(pod))
        #expect(told(11, 0, 0) == #"Usage of EmptyDir volume "cache" exceeds the limit "10Mi". "#)
        #expect(told(0, 41, 0) == "Pod ephemeral local storage usage exceeds the total limit of containers 40Mi. ")
        #expect(told(0, 0, 21) == #"Container a exceeded its local ephemeral storage limit "20Mi". "#)
    }

    @Test("under pressure only what matters comes to the node")
    func admission() throws {
        let bestEffort = try Given.pod(#"{"containers":[{"name":"a","image":"i"}]}"#)
        let burstable = try Given.pod(#"{"containers":[{"name":"a","image":"i","resources":{"requests":{"cpu":"1m"}}}]}"#)
        let critical = try Given.pod(#"{"priority":2000000000,"containers":[{"name":"a","image":"i"}]}"#)
        let tolerant = try Given.pod(
            #"{"tolerations":[{"key":"node.kubernetes.io/memory-pressure","operator":"Exists"}],"containers":[{"name":"a","image":"i"}]}"#)
        #expect(PressureAdmission.rejection(bestEffort, pressures: []) == nil)
        #expect(PressureAdmission.rejection(bestEffort, pressures: [.memory])?.message == "The node had condition: [MemoryPressure]. ")
        for pod in [burstable, critical, tolerant] { #expect(PressureAdmission.rejection(pod, pressures: [.memory]) == nil) }
        for pod in [bestEffort, burstable, tolerant] { #expect(PressureAdmission.rejection(pod, pressures: [.disk])?.reason == "Evicted") }
        #expect(PressureAdmission.rejection(critical, pressures: [.memory, .disk]) == nil)
    }

    @Test("a node's settings change the signals that they name; 0% and 100% stand for no threshold")
    func settings() {
        func texts(_ policy: EvictionPolicy) -> [String] {
            policy.thresholds.map { "\($0.signal.rawValue)<\($0.amount.description) \($0.grace) \($0.minimumReclaim?.description ?? "-")" }
        }
        let standard = ["memory.available<100Mi 0.0 -", "allocatableMemory.available<100Mi 0.0 -", "nodefs.available<10% 0.0 -"]
        #expect(texts(.standard) == standard + ["nodefs.inodesFree<5% 0.0 -"])
        var settings = EvictionSettings()
        settings.hard = ["memory.available": "250Mi", "nodefs.inodesFree": "0%", "imagefs.available": "100%", "pid.available": "12.5%", "other": "1"]
        settings.soft = ["nodefs.available": "2Gi", "memory.available": "1Gi"]
        settings.softGrace = ["nodefs.available": 90]
        settings.minimumReclaim = ["nodefs.available": "1Gi", "memory.available": "0"]
        settings.transitionPeriod = 7
        settings.maximumPodGrace = 11
        let policy = EvictionPolicy(settings)
        #expect(
            texts(policy) == [
                "memory.available<250Mi 0.0 0", "allocatableMemory.available<250Mi 0.0 0", "nodefs.available<10% 0.0 1Gi",
                "pid.available<12.5% 0.0 -",
                "nodefs.available<2Gi 90.0 1Gi",
            ])
        #expect(policy.transitionPeriod == 7 && policy.maximumPodGrace == 11)
        for text in ["", "%", "-1%", "101%", "nan%", "-5Mi", "much"] { #expect(EvictionAmount(text) == nil, "\(text)") }
    }

    @Test("what evictions keep free is not for pods to ask for")
    func reservation() {
        var configuration = KubeletConfiguration(
            nodeName: "n", nodeIP: "10.0.0.1", capacity: ["memory": Quantity(4 << 30), "ephemeral-storage": Quantity(20 << 30)], kubeletVersion: "v1")
        configuration.reserved = ["memory": Quantity(1 << 30)]
        #expect(configuration.allocatable["memory"] == Quantity((3 << 30) - (100 << 20)))
        #expect(configuration.allocatable["ephemeral-storage"] == Quantity(18 << 30) && configuration.podMemory == 3 << 30)
    }

    @Test("a folder is measured without following links, and hard links count once")
    func diskUsage() throws {
        var template = Array("/tmp/disk-usage-XXXXXX".utf8CString)
        #expect(mkdtemp(&template) != nil)
        let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { try? FileTree.removeAll(folder) }
        try FileTree.makeDirectories(folder + "/below")
        try FileTree.write(folder + "/below/file", [UInt8](repeating: 1, count: 64 << 10))
        #expect(link(folder + "/below/file", folder + "/again") == 0 && symlink("/usr", folder + "/elsewhere") == 0)
        let measured = DiskUsage.measure(folder)
        #expect(measured.inodes == 3 && (64 << 10...128 << 10).contains(measured.bytes))
        #expect(DiskUsage.measure(folder + "/nothing").bytes == 0)
    }

    @Test("images that no container uses are removed when the disk is short, but not the sandboxes' and not young ones")
    func images() async throws {
        var configuration = SimulatedRuntime.Configuration()
        configuration.images = ["old:1", "used:1", "pause:1"]
        let runtime = SimulatedRuntime(configuration)
        let sandbox = PodSandboxConfig(metadata: PodSandboxMetadata(name: "web", namespace: "default", uid: "u1"))
        let id = try await runtime.runPodSandbox(sandbox)
        _ = try await runtime.createContainer(sandbox: id, config: ContainerConfig(name: "a", attempt: 0, image: "used:1"), sandboxConfig: sandbox)
        let collector = ImageCollector(runtime: runtime, kept: ["pause:1"], logger: Logger(label: "images"))
        await collector.begin()
        await collector.removeUnused()
        #expect(try await Set(runtime.images().flatMap(\.tags)) == ["used:1", "pause:1"])
        _ = try await runtime.pullImage("young:1", credentials: nil, sandboxConfig: nil)
        await collector.removeUnused()
        #expect(try await runtime.imageStatus("young:1") != nil)
    }
}
