import Glibc
import KubeAPI
import KubeClient
import Synchronization
import Testing

@testable import ControlPlane

/// Plays the kubelets of all nodes: bound pods run and are ready at once (Jobs' pods succeed), deleted ones are gone at once.
final class PlayedKubelets: Sendable {
    private let client: KubeClient
    private let counter = Mutex(0)

    init(_ client: KubeClient) { self.client = client }

    func run() async {
        let informers = InformerFactory(client: client)
        let pods = informers.informer(for: .pods)
        let queue = WorkQueue<String>(name: "kubelets")
        pods.addHandler(.any { queue.add($0.metadata.key) })
        await withDiscardingTaskGroup { group in
            group.addTask { await informers.run() }
            group.addTask {
                await queue.run(workers: 16) { key in
                    guard let pod = pods.indexer.get(key) else { return }
                    try await self.sync(pod)
                }
            }
        }
    }

    private func sync(_ pod: Object) async throws {
        guard let node = pod["spec"]["nodeName"].string else { return }
        let meta = pod.metadata
        do {
            if meta.isBeingDeleted {
                try await client.delete(
                    .pods, namespace: meta.namespace, name: meta.name, options: DeleteOptions(gracePeriodSeconds: 0, preconditionUID: meta.uid))
                return
            }
            guard pod["status"]["phase"].string == "Pending" else { return }
            let number = counter.withLock {
                $0 += 1
                return $0
            }
            var value = pod.value
            let now = Timestamp.now.rfc3339
            let ip = "10.9.\(number / 250).\(number % 250 + 1)"
            value[path: "status", "podIP"] = .string(ip)
            value[path: "status", "podIPs"] = [["ip": .string(ip)]]
            value[path: "status", "hostIP"] = .string(node)
            let isJob = meta.labels["kind"] == "job"
            value[path: "status", "phase"] = isJob ? "Succeeded" : "Running"
            var conditions = (value[path: "status", "conditions"]?.array ?? []).filter { $0["type"]?.string != "Ready" }
            conditions.append(["type": "Ready", "status": isJob ? "False" : "True", "lastTransitionTime": .string(now)])
            value[path: "status", "conditions"] = .array(conditions)
            value[path: "status", "containerStatuses"] = [
                [
                    "name": "c", "image": "nginx", "imageID": "", "ready": .bool(!isJob), "restartCount": 0,
                    "state": isJob ? ["terminated": ["exitCode": 0, "finishedAt": .string(now)]] : ["running": ["startedAt": .string(now)]],
                ]
            ]
            try await client.updateStatus(.pods, value)
        } catch let error as StatusError where error.isNotFound {}
    }
}

@Suite(.serialized) struct ControllersIntegrationTests {
    static func withCluster(nodes: Int = 3, _ body: (ControlPlaneTests.Fixture, KubeClient) async throws -> Void) async throws {
        let fixture = try await ControlPlaneTests.Fixture.start()
        let client = fixture.client
        try await fixture.eventually("the default service account") {
            try await client.list(.serviceAccounts, namespace: "default").items.contains { $0.metadata.name == "default" }
        }
        for index in 0..<nodes {
            let now = Timestamp.now.rfc3339
            try await client.create(
                .nodes,
                [
                    "apiVersion": "v1", "kind": "Node",
                    "metadata": ["name": .string("n\(index)"), "labels": ["kubernetes.io/hostname": .string("n\(index)")]],
                ])
            let status: Value = [
                "capacity": ["cpu": "64", "memory": "256Gi", "pods": "1000"], "allocatable": ["cpu": "64", "memory": "256Gi", "pods": "1000"],
                "conditions": [
                    [
                        "type": "Ready", "status": "True", "lastHeartbeatTime": .string(now), "lastTransitionTime": .string(now),
                        "reason": "KubeletReady", "message": "ok",
                    ]
                ],
            ]
            try await client.patch(.nodes, name: "n\(index)", type: .merge, ["status": status], subresource: "status")
        }
        try await fixture.eventually("untainted nodes") {
            try await client.list(.nodes).items.allSatisfy { $0["spec"]["taints"].elements.isEmpty }
        }
        let kubelets = PlayedKubelets(client)
        let task = Task { await kubelets.run() }
        do { try await body(fixture, client) } catch {
            task.cancel()
            await fixture.controlPlane.stop()
            throw error
        }
        task.cancel()
        await task.value
        await fixture.controlPlane.stop()
        try fixture.expectNothingRefused()
    }

    private static func deployment(_ replicas: Int64, image: String = "nginx:1.15") -> Value {
        [
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": ["name": "web", "namespace": "default"],
            "spec": [
                "replicas": .int(replicas), "selector": ["matchLabels": ["app": "web"]],
                "template": [
                    "metadata": ["labels": ["app": "web"]],
                    "spec": ["containers": [["name": "c", "image": .string(image), "ports": [["containerPort": 80, "name": "http"]]]]],
                ],
            ],
        ]
    }

    private func isRolledOut(_ client: KubeClient, _ replicas: Int64) async throws -> Bool {
        let web = try await client.get(.deployments, namespace: "default", name: "web")
        let status = web["status"]
        return status["observedGeneration"].int == web.metadata.generation && status["updatedReplicas"].int == replicas
            && status["replicas"].int == replicas
            && status["availableReplicas"].int == replicas
            && status["conditions"].elements.contains { $0["type"].string == "Progressing" && $0["reason"].string == "NewReplicaSetAvailable" }
    }

    @Test("create, scale, roll out, undo, delete") func deployment() async throws {
        try await Self.withCluster { fixture, client in
            try await client.create(
                .services,
                [
                    "apiVersion": "v1", "kind": "Service", "metadata": ["name": "web", "namespace": "default"],
                    "spec": ["selector": ["app": "web"], "ports": [["port": 80, "targetPort": "http"]]],
                ])
            let clock = ContinuousClock()
            let begin = clock.now
            try await client.create(.deployments, Self.deployment(3))
            try await fixture.eventually("three available") { try await isRolledOut(client, 3) }
            print("deployment of 3 available after \(clock.now - begin)")
            let nodes = Set(try await client.list(.pods, namespace: "default").items.compactMap { $0["spec"]["nodeName"].string })
            #expect(nodes.count == 3)
            try await fixture.eventually("three endpoints") {
                let slices = try await client.list(.endpointSlices, namespace: "default").items.filter {
                    $0.metadata.labels["kubernetes.io/service-name"] == "web"
                }
                return slices.count == 1 && slices[0]["endpoints"].elements.count == 3 && slices[0]["ports"].elements.first?["port"].int == 80
            }
            try await fixture.eventually("legacy endpoints") {
                try await client.list(.endpoints, namespace: "default").items.contains {
                    $0.metadata.name == "web" && $0["subsets"].elements.first?["addresses"].elements.count == 3
                }
            }
            try await client.patch(.deployments, namespace: "default", name: "web", type: .merge, ["spec": ["replicas": 5]], subresource: "scale")
            try await fixture.eventually("five available") { try await isRolledOut(client, 5) }
            try await client.patch(
                .deployments, namespace: "default", name: "web", type: .strategicMerge,
                ["spec": ["template": ["spec": ["containers": [["name": "c", "image": "nginx:1.16"]]]]]])
            try await fixture.eventually("rolled out") { try await isRolledOut(client, 5) }
            var sets = try await client.list(.replicaSets, namespace: "default").items
            #expect(sets.count == 2)
            #expect(sets.compactMap { $0["spec"]["replicas"].int }.sorted() == [0, 5])
            try await client.patch(
                .deployments, namespace: "default", name: "web", type: .strategicMerge,
                ["spec": ["template": ["spec": ["containers": [["name": "c", "image": "nginx:1.15"]]]]]])
            try await fixture.eventually("rolled back") { try await isRolledOut(client, 5) }
            sets = try await client.list(.replicaSets, namespace: "default").items
            #expect(sets.count == 2)
            #expect(sets.compactMap { $0.metadata.annotations["deployment.kubernetes.io/revision"] }.sorted() == ["2", "3"])
            #expect(sets.compactMap { $0.metadata.annotations["deployment.kubernetes.io/revision-history"] } == ["1"])
            let web = try await client.get(.deployments, namespace: "default", name: "web")
            #expect(web.metadata.annotations["deployment.kubernetes.io/revision"] == "3")
            try await fixture.eventually("events") {
                let events = try await client.list(.events, namespace: "default").items.map {
                    "\($0["reason"].string ?? "") \($0["message"].string ?? "")"
                }
                return events.contains { $0.hasPrefix("ScalingReplicaSet Scaled up replica set web-") }
                    && events.contains { $0.hasPrefix("Scheduled Successfully assigned default/web-") }
                    && events.contains { $0.hasPrefix("SuccessfulCreate Created pod: web-") }
            }
            try await client.delete(.deployments, namespace: "default", name: "web", options: DeleteOptions(propagationPolicy: .foreground))
            try await client.delete(.services, namespace: "default", name: "web")
            try await fixture.eventually("nothing left") {
                let pods = try await client.list(.pods, namespace: "default").items.count
                let sets = try await client.list(.replicaSets, namespace: "default").items.count
                let deployments = try await client.list(.deployments, namespace: "default").items.count
                let slices = try await client.list(.endpointSlices, namespace: "default").items.filter {
                    $0.metadata.labels["kubernetes.io/service-name"] == "web"
                }.count
                return pods == 0 && sets == 0 && deployments == 0 && slices == 0
            }
        }
    }

    @Test("daemons on every node, a job to its end, an orphaning deletion, a namespace emptied") func others() async throws {
        try await Self.withCluster { fixture, client in
            try await client.create(
                .daemonSets,
                [
                    "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": ["name": "agent", "namespace": "default"],
                    "spec": [
                        "selector": ["matchLabels": ["app": "agent"]],
                        "template": ["metadata": ["labels": ["app": "agent"]], "spec": ["containers": [["name": "c", "image": "a:1"]]]],
                    ],
                ])
            try await fixture.eventually("three daemons") {
                try await client.get(.daemonSets, namespace: "default", name: "agent")["status"]["numberAvailable"].int == 3
            }
            try await client.patch(
                .daemonSets, namespace: "default", name: "agent", type: .strategicMerge,
                ["spec": ["template": ["spec": ["containers": [["name": "c", "image": "a:2"]]]]]])
            try await fixture.eventually("three new daemons") {
                let status = try await client.get(.daemonSets, namespace: "default", name: "agent")["status"]
                return status["numberAvailable"].int == 3 && status["updatedNumberScheduled"].int == 3 && status["observedGeneration"].int == 2
            }
            #expect(try await client.list(.controllerRevisions, namespace: "default").items.count == 2)
            try await client.create(
                .jobs,
                [
                    "apiVersion": "batch/v1", "kind": "Job", "metadata": ["name": "work", "namespace": "default"],
                    "spec": [
                        "completions": 4, "parallelism": 2,
                        "template": [
                            "metadata": ["labels": ["kind": "job"]],
                            "spec": ["restartPolicy": "Never", "containers": [["name": "c", "image": "w"]]],
                        ],
                    ],
                ])
            try await fixture.eventually("the job complete") {
                let status = try await client.get(.jobs, namespace: "default", name: "work")["status"]
                return status["succeeded"].int == 4
                    && status["conditions"].elements.contains { $0["type"].string == "Complete" && $0["status"].string == "True" }
            }
            try await client.create(
                .statefulSets,
                [
                    "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": ["name": "db", "namespace": "default"],
                    "spec": [
                        "replicas": 3, "serviceName": "db", "selector": ["matchLabels": ["app": "db"]],
                        "template": ["metadata": ["labels": ["app": "db"]], "spec": ["containers": [["name": "c", "image": "db:1"]]]],
                    ],
                ])
            try await fixture.eventually("three members") {
                try await client.get(.statefulSets, namespace: "default", name: "db")["status"]["readyReplicas"].int == 3
            }
            try await client.patch(
                .statefulSets, namespace: "default", name: "db", type: .strategicMerge,
                ["spec": ["template": ["spec": ["containers": [["name": "c", "image": "db:2"]]]]]])
            try await fixture.eventually("three new members") {
                let status = try await client.get(.statefulSets, namespace: "default", name: "db")["status"]
                return status["updatedReplicas"].int == 3 && status["readyReplicas"].int == 3
                    && status["currentRevision"].string == status["updateRevision"].string && status["observedGeneration"].int == 2
            }
            try await client.create(.deployments, Self.deployment(2))
            try await fixture.eventually("two available") { try await isRolledOut(client, 2) }
            try await client.delete(.deployments, namespace: "default", name: "web", options: DeleteOptions(propagationPolicy: .orphan))
            try await fixture.eventually("the deployment gone, its ReplicaSet free") {
                let gone = try await client.list(.deployments, namespace: "default").items.isEmpty
                let sets = try await client.list(.replicaSets, namespace: "default").items
                return gone && sets.count == 1 && sets[0].metadata.ownerReferences.isEmpty && sets[0]["spec"]["replicas"].int == 2
            }
            try await client.create(.namespaces, ["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": "team"]])
            var other = Self.deployment(2)
            other[path: "metadata", "namespace"] = "team"
            try await fixture.eventually("its account") { try await !client.list(.serviceAccounts, namespace: "team").items.isEmpty }
            try await client.create(.deployments, other)
            try await fixture.eventually("its pods") {
                try await client.list(.pods, namespace: "team").items.count { $0["status"]["phase"].string == "Running" } == 2
            }
            try await client.delete(.namespaces, name: "team")
            try await fixture.eventually("the namespace gone") { try await !client.list(.namespaces).items.contains { $0.metadata.name == "team" } }
        }
    }

    @Test("what an orphaning deletion left is taken over as it is: daemons, members, their revisions; a Job's pods are free to go") func orphans()
        async throws
    {
        try await Self.withCluster { fixture, client in
            func workload(_ kind: String, _ name: String, _ more: Value) -> Value {
                var spec: Value = [
                    "selector": ["matchLabels": ["app": .string(name)]],
                    "template": ["metadata": ["labels": ["app": .string(name)]], "spec": ["containers": [["name": "c", "image": "a:1"]]]],
                ]
                for (key, value) in more.object ?? Members() { spec[key] = value }
                return [
                    "apiVersion": "apps/v1", "kind": .string(kind), "metadata": ["name": .string(name), "namespace": "default"], "spec": spec,
                ]
            }
            func create() async throws {
                try await client.create(.daemonSets, workload("DaemonSet", "agent", [:]))
                try await client.create(.statefulSets, workload("StatefulSet", "db", ["replicas": 2, "serviceName": "db"]))
                try await fixture.eventually("daemons and members") {
                    let agent = try await client.get(.daemonSets, namespace: "default", name: "agent")["status"]
                    let db = try await client.get(.statefulSets, namespace: "default", name: "db")["status"]
                    return agent["numberAvailable"].int == 3 && agent["updatedNumberScheduled"].int == 3 && db["readyReplicas"].int == 2
                        && db["updatedReplicas"].int == 2
                }
            }
            func pods() async throws -> [Object] { try await client.list(.pods, namespace: "default").items }
            func revisions() async throws -> [Object] { try await client.list(.controllerRevisions, namespace: "default").items }
            try await create()
            let before = Set(try await pods().map(\.metadata.uid))
            let history = Set(try await revisions().map(\.metadata.uid))
            #expect(before.count == 5 && history.count == 2)
            for (resource, name) in [(GroupVersionResource.daemonSets, "agent"), (.statefulSets, "db")] {
                try await client.delete(resource, namespace: "default", name: name, options: DeleteOptions(propagationPolicy: .orphan))
            }
            try await fixture.eventually("both gone, what they had left behind") {
                let left = try await pods() + revisions()
                let owners =
                    try await client.list(.daemonSets, namespace: "default").items + client.list(.statefulSets, namespace: "default").items
                return owners.isEmpty && left.allSatisfy(\.metadata.ownerReferences.isEmpty)
            }
            try await create()
            // Nodes without leases are tainted after a while: nothing below would run then.
            try await fixture.eventually("no pod was replaced", within: .seconds(20)) { Set(try await pods().map(\.metadata.uid)) == before }
            #expect(Set(try await revisions().map(\.metadata.uid)) == history)
            let left = try await pods() + revisions()
            #expect(left.allSatisfy { $0.metadata.controller != nil })
            for (resource, name) in [(GroupVersionResource.daemonSets, "agent"), (.statefulSets, "db")] {
                #expect(try await client.get(resource, namespace: "default", name: name)["status"]["collisionCount"].int ?? 0 == 0)
            }

            try await client.create(
                .jobs,
                [
                    "apiVersion": "batch/v1", "kind": "Job", "metadata": ["name": "long", "namespace": "default"],
                    "spec": [
                        "template": [
                            "metadata": ["labels": ["kind": "long"]],
                            "spec": ["restartPolicy": "Never", "containers": [["name": "c", "image": "w"]]],
                        ]
                    ],
                ])
            func ofJob() async throws -> [Object] { try await pods().filter { $0.metadata.labels["kind"] == "long" } }
            try await fixture.eventually("the Job's pod") {
                try await ofJob().contains { $0["status"]["phase"].string == "Running" && !$0.metadata.finalizers.isEmpty }
            }
            try await client.delete(.jobs, namespace: "default", name: "long", options: DeleteOptions(propagationPolicy: .orphan))
            try await fixture.eventually("its pod free") {
                let pods = try await ofJob()
                return pods.count == 1 && pods.allSatisfy { $0.metadata.finalizers.isEmpty && $0.metadata.ownerReferences.isEmpty }
            }
        }
    }

    @Test("many pods are bound fast") func throughput() async throws {
        try await Self.withCluster(nodes: 20) { fixture, client in
            let clock = ContinuousClock()
            let begin = clock.now
            try await client.create(.deployments, Self.deployment(500))
            try await fixture.eventually("all bound") {
                try await client.list(.pods, namespace: "default").items.count { $0["spec"]["nodeName"].string != nil } == 500
            }
            print("500 pods bound after \(clock.now - begin)")
            try await fixture.eventually("all available") { try await isRolledOut(client, 500) }
            print("500 pods available after \(clock.now - begin)")
        }
    }
}
