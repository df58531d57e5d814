import ContainerRuntime
import KubeAPI
import Testing

@testable import Kubelet

/// What Prometheus is told of containers.
struct ContainerMetricsTests {
    private func write(_ mount: String, _ files: [String: String]) throws {
        for (path, text) in files {
            try FileTree.makeParent(of: "\(mount)/\(path)")
            try FileTree.write("\(mount)/\(path)", Array(text.utf8))
        }
    }

    @Test("a cgroup's figures are read in both versions; no limit is told as none")
    func cgroups() throws {
        try withDirectory { (mount: String) throws -> Void in
            try write(
                mount,
                [
                    "cpuacct/p/cpuacct.usage": "5000\n", "cpu/p/cpu.stat": "nr_periods 10\nnr_throttled 2\nthrottled_time 300\n",
                    "cpu/p/cpu.cfs_quota_us": "-1\n", "cpu/p/cpu.cfs_period_us": "100000\n", "memory/p/memory.usage_in_bytes": "1000\n",
                    "memory/p/memory.limit_in_bytes": "9223372036854771712\n",
                    "memory/p/memory.stat": "cache 1\nrss 2\ntotal_cache 300\ntotal_rss 400\ntotal_inactive_file 250\n",
                ])
            var expected = CgroupFigures()
            (expected.cpuNanoseconds, expected.periods, expected.throttledPeriods, expected.throttledNanoseconds) = (5000, 10, 2, 300)
            (expected.memory, expected.workingSet, expected.rss, expected.cache) = (1000, 750, 400, 300)
            (expected.memoryLimit, expected.cpuPeriod) = (0, 100_000)
            #expect(CgroupFigures(cgroupMount: mount, path: "/p", isUnified: false) == expected)
            #expect(CgroupFigures(cgroupMount: mount, path: "/q", isUnified: false) == CgroupFigures())
        }
        try withDirectory { (mount: String) throws -> Void in
            try write(
                mount,
                [
                    "p/cpu.stat": "usage_usec 5\nuser_usec 3\nnr_periods 10\nnr_throttled 2\nthrottled_usec 7\n", "p/cpu.max": "50000 100000\n",
                    "p/memory.current": "1000\n", "p/memory.max": "2000\n", "p/memory.stat": "anon 400\nfile 300\ninactive_file 250\n",
                ])
            var expected = CgroupFigures()
            (expected.cpuNanoseconds, expected.periods, expected.throttledPeriods, expected.throttledNanoseconds) = (5000, 10, 2, 7000)
            (expected.memory, expected.workingSet, expected.rss, expected.cache) = (1000, 750, 400, 300)
            (expected.memoryLimit, expected.cpuQuota, expected.cpuPeriod) = (2000, 50000, 100_000)
            #expect(CgroupFigures(cgroupMount: mount, path: "/p", isUnified: true) == expected)
            try write(mount, ["p/cpu.max": "max 100000\n", "p/memory.max": "max\n"])
            (expected.memoryLimit, expected.cpuQuota) = (0, nil)
            #expect(CgroupFigures(cgroupMount: mount, path: "/p", isUnified: true) == expected)
        }
    }

    @Test("of a pod's interfaces those count that lead out of it")
    func interfaces() {
        let text = """
            Inter-|   Receive                                                |  Transmit
             face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
                lo:     100       1    0    0    0     0          0         0      100       1    0    0    0     0       0          0
              eth0:    1296      16    1    2    0     0          0         0      816       9    3    4    0     0       0          0
            veth12: 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1
             broken: 1 2
            """
        let expected = InterfaceFigures(
            name: "eth0", received: .init(bytes: 1296, packets: 16, errors: 1, dropped: 2),
            transmitted: .init(bytes: 816, packets: 9, errors: 3, dropped: 4))
        #expect(InterfaceFigures.parse(text) == [expected] && InterfaceFigures.parse("").isEmpty)
    }

    @Test("lines of one name stand together, with cAdvisor's labels; what is not known is not told")
    func text() throws {
        var node = ContainerMetrics.Group(id: "/")
        node.figures.cpuNanoseconds = 1_500_000_000
        var container = ContainerMetrics.Group(
            id: "/kubepods/podu1/c1", container: "main", image: "i\"1", name: "c1", namespace: "default", pod: "web")
        container.figures.cpuNanoseconds = 2_000_000_000
        container.figures.memoryLimit = 0
        container.started = 7
        container.interfaces = InterfaceFigures.parse("eth0: 1 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0")
        let machine = ContainerMetrics.Machine(labels: [("boot_id", "b")], cores: 2, memory: 1 << 30)
        let lines = ContainerMetrics.text([node, container], machine: machine, now: Timestamp(seconds: 9)).split(separator: "\n").map(String.init)
        let labels = #"container="main",id="/kubepods/podu1/c1",image="i\"1",name="c1",namespace="default",pod="web""#
        let first = try #require(lines.firstIndex(of: "# TYPE container_cpu_usage_seconds_total counter"))
        #expect(
            lines[(first + 1)...(first + 2)] == [
                #"container_cpu_usage_seconds_total{container="",id="/",image="",name="",namespace="",pod="",cpu="total"} 1.5"#,
                "container_cpu_usage_seconds_total{\(labels),cpu=\"total\"} 2",
            ])
        for line in [
            "container_spec_memory_limit_bytes{\(labels)} 0", "container_start_time_seconds{\(labels)} 7",
            "container_network_receive_bytes_total{\(labels),interface=\"eth0\"} 1",
            "container_network_transmit_packets_dropped_total{\(labels),interface=\"eth0\"} 8", "machine_cpu_cores{boot_id=\"b\"} 2",
            "machine_memory_bytes{boot_id=\"b\"} 1073741824", "container_scrape_error 0",
        ] { #expect(lines.contains(line), "\(line)") }
        #expect(!lines.contains { $0.contains("container_memory_usage_bytes") || $0.contains("quota") || $0.contains("cfs") })
    }

    private static let pod: Value = [
        "metadata": ["name": "web", "namespace": "default", "uid": "u1"], "spec": ["containers": [["name": "main", "image": "i:1"]]],
        "status": [
            "containerStatuses": [["name": "main", "image": "docker.io/library/i:1", "state": ["running": ["startedAt": "2027-01-15T08:00:00Z"]]]]
        ],
    ]

    private func server() async throws -> KubeletServer {
        var configuration = SimulatedRuntime.Configuration()
        configuration.images = ["i:1"]
        let runtime = SimulatedRuntime(configuration)
        let sandbox = PodSandboxConfig(metadata: PodSandboxMetadata(name: "web", namespace: "default", uid: "u1"))
        var config = ContainerConfig(name: "main", attempt: 0, image: "i:1")
        config.labels = [ContainerLabels.podUID: "u1", ContainerLabels.podName: "web", ContainerLabels.podNamespace: "default"]
        let id = try await runtime.runPodSandbox(sandbox)
        let container = try await runtime.createContainer(sandbox: id, config: config, sandboxConfig: sandbox)
        try await runtime.startContainer(container)
        return try KubeletServer.test(runtime, pods: [Self.pod])
    }

    @Test("the kubelet serves them, with what the runtime knows where there are no cgroups to be read")
    func served() async throws {
        let server = try await server()
        let lines = try await KubeletServer.text(of: server.ask("/metrics/cadvisor")).split(separator: "\n")
        let own = lines.filter { $0.contains(#"container="main""#) }
        #expect(own.contains { $0.hasPrefix("container_memory_working_set_bytes{") && $0.hasSuffix(" 1048576") })
        #expect(own.contains { $0.hasPrefix("container_start_time_seconds{") && $0.hasSuffix(" 1800000000") })
        #expect(own.allSatisfy { $0.contains(#"image="docker.io/library/i:1""#) && $0.contains(#"pod="web""#) })
        #expect(await server.ask("/metrics/probes").status == 404)
    }

    @Test("settings and running pods are told in upstream's forms")
    func settings() async throws {
        let server = try await server()
        let settings = try Object(json: try await KubeletServer.text(of: server.ask("/configz")))["kubeletconfig"]
        #expect(settings["kind"].string == "KubeletConfiguration" && settings["containerLogMaxSize"].string == "10Mi")
        #expect(settings["evictionHard"]["nodefs.available"].string == "10%" && settings["syncFrequency"].string == "1m0s")
        let pods = try Object(json: try await KubeletServer.text(of: server.ask("/runningpods/")))
        let pod = try #require(pods["items"].elements.first)
        #expect(pod["metadata"]["name"].string == "web" && pod["spec"]["containers"].elements.first?["name"]?.string == "main")
    }
}
