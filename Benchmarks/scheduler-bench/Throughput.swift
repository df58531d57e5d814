import Glibc
import KubeAPI
import KubeClient
import KubeScheduler
import KubeStorage

/// Prints a line at once, wherever it goes.
func report(_ line: String) {
    let bytes = Array((line + "\n").utf8)
    _ = write(1, bytes, bytes.count)
}

/// Runs workloads: through an API server of this process, and with a scheduler whose API costs nothing.
enum Throughput {
    /// Pods are created by 128 writers and scheduled at the same time, as scheduler_perf does it: from the first request to the last binding.
    static func served(_ workload: Workload, directory: String) async throws {
        let store = try SQLiteStore(path: "\(directory)/\(workload.name).db")
        let cluster = try BenchCluster(store: store)
        try await cluster.start()
        for name in ["sched-0", "sched-1"] { try await cluster.makeNamespace(name) }
        try await cluster.admin.create(.priorityClasses, PodTemplate.highPriorityClass)
        try await cluster.makeNodes((0..<workload.nodes).map { NodeTemplate.object($0, zones: workload.zones) })
        let informers = InformerFactory(client: cluster.client("system:kube-controller-manager"))
        let counter = BoundCounter()
        counter.follow(informers.informer(for: .pods))
        let scheduler = Scheduler(client: cluster.client("system:kube-scheduler"), informers: informers)
        let running = Task {
            await withDiscardingTaskGroup { group in
                group.addTask { await informers.run() }
                group.addTask { await scheduler.run() }
            }
        }
        try await informers.waitForSync()
        try await cluster.concurrently(workload.initPods) { number in
            try await cluster.admin.create(.pods, workload.initPod.object("init-\(number)", namespace: "sched-1"))
        }
        await counter.wait(for: workload.initPodsFit ? workload.initPods : 0, in: "sched-1")
        let churn =
            switch workload.churn {
            case .none: Task {}
            case .recreate: Task { await Self.recreate(cluster) }
            case .create(let template): Task { await Self.create(template, cluster) }
            }
        let (start, cpu) = (ContinuousClock.now, Usage.cpuSeconds())
        try await cluster.concurrently(workload.pods) { number in
            try await cluster.admin.create(.pods, workload.pod.object("pod-\(number)", namespace: "sched-0"))
        }
        let created = Usage.seconds(since: start)
        await counter.wait(for: workload.pods, in: "sched-0")
        let (seconds, used) = (Usage.seconds(since: start), Usage.cpuSeconds() - cpu)
        churn.cancel()
        await churn.value
        report(
            "{\"workload\":\"\(workload.name)\",\"how\":\"served\",\"nodes\":\(workload.nodes),\"pods\":\(workload.pods),"
                + "\"pods_per_second\":\(Double(workload.pods) / seconds),\"seconds\":\(seconds),\"created_after\":\(created),"
                + "\"cpu_ms_per_pod\":\(used * 1000 / Double(workload.pods)),\"target\":\(workload.target.map(String.init) ?? "null")}")
        running.cancel()
        await running.value
        await cluster.server.stop()
    }

    /// Makes and deletes a node, a Service and a large pod of high priority, one of each a second. Upstream: the churn operation, mode recreate.
    private static func recreate(_ cluster: BenchCluster) async {
        var number = 0
        while !Task.isCancelled {
            number += 1
            do {
                try await cluster.admin.create(.nodes, NodeTemplate.named("churn-\(number)"))
                var pod = PodTemplate.large.object("churn-\(number)", namespace: "sched-1")
                pod[path: "spec", "priorityClassName"] = "system-node-critical"
                try await cluster.admin.create(.pods, pod)
                try await cluster.admin.create(
                    .services,
                    [
                        "apiVersion": "v1", "kind": "Service", "metadata": ["name": .string("churn-\(number)"), "namespace": "sched-1"],
                        "spec": ["selector": ["app": "foo"], "ports": [["port": 8080]]],
                    ])
                try await Task.sleep(for: .seconds(1))
                try await cluster.admin.delete(.nodes, name: "churn-\(number)")
                try await cluster.admin.delete(
                    .pods, namespace: "sched-1", name: "churn-\(number)", options: DeleteOptions(gracePeriodSeconds: 0))
                try await cluster.admin.delete(.services, namespace: "sched-1", name: "churn-\(number)")
            } catch is CancellationError {
                return
            } catch {
                report("churn: \(error)")
                return
            }
        }
    }

    /// Makes a pod every 200 ms. Upstream: the churn operation, mode create.
    private static func create(_ template: PodTemplate, _ cluster: BenchCluster) async {
        var number = 0
        while !Task.isCancelled {
            number += 1
            do {
                try await cluster.admin.create(.pods, template.object("churn-\(number)", namespace: "sched-1"))
                try await Task.sleep(for: .milliseconds(200))
            } catch is CancellationError {
                return
            } catch {
                report("churn: \(error)")
                return
            }
        }
    }

    /// The scheduler with an API that keeps nothing and answers at once: its own cost, informers and bindings with it.
    static func alone(_ workload: Workload) async throws {
        let api = try MemoryAPI(workload)
        let client = KubeClient(transport: api)
        let scheduler = Scheduler(client: client)
        let running = Task { await scheduler.run() }
        await api.bindings.wait(for: workload.initPodsFit ? workload.initPods : 0)
        let before = await api.bindings.count
        let (start, cpu) = (ContinuousClock.now, Usage.cpuSeconds())
        await api.release()
        await api.bindings.wait(for: before + workload.pods)
        let (seconds, used) = (Usage.seconds(since: start), Usage.cpuSeconds() - cpu)
        report(
            "{\"workload\":\"\(workload.name)\",\"how\":\"alone\",\"nodes\":\(workload.nodes),\"pods\":\(workload.pods),"
                + "\"pods_per_second\":\(Double(workload.pods) / seconds),\"seconds\":\(seconds),"
                + "\"cpu_ms_per_pod\":\(used * 1000 / Double(workload.pods)),\"target\":\(workload.target.map(String.init) ?? "null")}")
        running.cancel()
        await running.value
    }
}
