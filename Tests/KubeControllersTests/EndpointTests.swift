import KubeAPI
import Testing

@testable import KubeControllers

private func service(_ change: (inout Value) -> Void = { _ in }) throws -> ServiceState {
    var value: Value = [
        "apiVersion": "v1", "kind": "Service", "metadata": ["name": "web", "namespace": "default", "uid": "svc", "labels": ["team": "a"]],
        "spec": [
            "clusterIP": "10.0.0.1", "selector": ["app": "web"], "ipFamilies": ["IPv4"],
            "ports": [["name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"]],
        ],
    ]
    change(&value)
    return ServiceState(try object(value))
}

/// What the server would hold after a plan.
private func apply(_ plan: EndpointSlicePlan, to existing: [Object]) throws -> [Object] {
    var slices = existing.filter { slice in !plan.deletes.contains(slice.metadata.name) }
    for update in plan.updates {
        let object = try object(update)
        slices = slices.map { $0.metadata.name == object.metadata.name ? object : $0 }
    }
    for (index, create) in plan.creates.enumerated() {
        var value = create
        value[path: "metadata", "name"] = .string("web-\(existing.count + index)")
        value[path: "metadata", "uid"] = .string("slice-\(existing.count + index)")
        slices.append(try object(value))
    }
    return slices
}

@Suite("EndpointSlices")
struct EndpointSliceTests {
    @Test("a pod becomes an endpoint with its address, node, zone, conditions and reference")
    func endpoint() throws {
        let plan = EndpointSlicePlanner.plan(service: try service(), pods: [try pod("a", ip: "10.1.0.1")], zones: ["n1": "eu-1a"], existing: [])
        let slice = try #require(plan.creates.first)
        #expect(plan.creates.count == 1)
        #expect(slice["addressType"]?.string == "IPv4")
        #expect(slice[path: "metadata", "generateName"]?.string == "web-")
        #expect(
            slice[path: "metadata", "labels"] == [
                "team": "a", "kubernetes.io/service-name": "web", "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
            ])
        #expect(slice["ports"] == [["name": "http", "port": 8080, "protocol": "TCP"]])
        #expect(
            slice["endpoints"]?.array?.first == [
                "addresses": ["10.1.0.1"], "conditions": ["ready": true, "serving": true, "terminating": false], "nodeName": "n1", "zone": "eu-1a",
                "targetRef": ["kind": "Pod", "namespace": "default", "name": "a", "uid": "uid-a"],
            ])
        #expect(slice[path: "metadata", "ownerReferences"]?.array?.first?["kind"]?.string == "Service")
    }

    @Test(
        "ready, serving and terminating",
        arguments: [
            (true, false, false, true, true, false), (false, false, false, false, false, false), (true, true, false, false, true, true),
            (false, false, true, true, false, false), (true, true, true, true, true, true),
        ])
    func conditions(podReady: Bool, deleting: Bool, publish: Bool, ready: Bool, serving: Bool, terminating: Bool) throws {
        let service = try service { $0[path: "spec", "publishNotReadyAddresses"] = .bool(publish) }
        let endpoint = EndpointSlicePlanner.endpoint(
            for: try pod("a", ready: podReady, ip: "10.1.0.1", deleting: deleting), service: service, zones: [:], family: "IPv4")
        #expect(endpoint?.ready == ready)
        #expect(endpoint?.serving == serving)
        #expect(endpoint?.terminating == terminating)
    }

    @Test("finished pods and pods without an address are no endpoints; a Service without any keeps one empty slice")
    func none() throws {
        let pods = [try pod("done", phase: "Succeeded", ip: "10.1.0.9"), try pod("new")]
        let plan = EndpointSlicePlanner.plan(service: try service(), pods: pods, zones: [:], existing: [])
        #expect(plan.creates.count == 1)
        #expect(plan.creates.first?["endpoints"]?.array?.isEmpty == true)
        let slices = try apply(plan, to: [])
        let again = EndpointSlicePlanner.plan(service: try service(), pods: pods, zones: [:], existing: slices)
        #expect(again.creates.isEmpty && again.updates.isEmpty && again.deletes.isEmpty)
        // The first endpoint fills the empty slice.
        let filled = EndpointSlicePlanner.plan(service: try service(), pods: [try pod("a", ip: "10.1.0.1")], zones: [:], existing: slices)
        #expect(filled.creates.isEmpty && filled.updates.count == 1 && filled.deletes.isEmpty)
    }

    @Test("a hundred endpoints to a slice; a change of one pod writes one slice")
    func packing() throws {
        var pods = try (0..<250).map { try pod("p\(1000 + $0)", ip: "10.1.\($0 / 250).\($0 % 250 + 1)") }
        let service = try service()
        var slices = try apply(EndpointSlicePlanner.plan(service: service, pods: pods, zones: [:], existing: []), to: [])
        #expect(slices.map { $0["endpoints"].elements.count }.sorted() == [50, 100, 100])
        pods[7] = try pod("p1007", ready: false, ip: "10.1.0.8")
        let plan = EndpointSlicePlanner.plan(service: service, pods: pods, zones: [:], existing: slices)
        #expect(plan.creates.isEmpty && plan.deletes.isEmpty && plan.updates.count == 1)
        slices = try apply(plan, to: slices)
        // One goes, one comes: the new one takes a place in the slice that is written anyway.
        pods.remove(at: 7)
        pods.append(try pod("q", ip: "10.2.0.1"))
        let swap = EndpointSlicePlanner.plan(service: service, pods: pods, zones: [:], existing: slices)
        #expect(swap.creates.isEmpty && swap.deletes.isEmpty && swap.updates.count == 1)
        // All but a few go: empty slices are deleted.
        let few = EndpointSlicePlanner.plan(service: service, pods: Array(pods.prefix(3)), zones: [:], existing: slices)
        #expect(few.deletes.count == 2 && few.creates.isEmpty)
    }

    @Test("a named port is looked up on each pod, and pods that differ get slices of their own")
    func namedPorts() throws {
        let service = try service { $0[path: "spec", "ports"] = [["name": "http", "port": 80, "targetPort": "web"]] }
        let pods = [
            try pod("a", ip: "10.1.0.1", ports: [["name": "web", "containerPort": 8080]]),
            try pod("b", ip: "10.1.0.2", ports: [["name": "web", "containerPort": 9090]]), try pod("c", ip: "10.1.0.3"),
        ]
        let plan = EndpointSlicePlanner.plan(service: service, pods: pods, zones: [:], existing: [])
        let ports = plan.creates.compactMap { $0["ports"]?.array?.first?["port"]?.int }
        #expect(ports.sorted() == [8080, 9090])
        #expect(plan.creates.flatMap { $0["endpoints"]?.array ?? [] }.count == 2)
    }

    @Test("a headless Service is marked, may have no ports, and names hosts by the pod's hostname")
    func headless() throws {
        let service = try service {
            $0[path: "spec", "clusterIP"] = "None"
            $0[path: "spec", "ports"] = nil
        }
        var value = try pod("a", ip: "10.1.0.1").value
        value[path: "spec", "hostname"] = "a"
        value[path: "spec", "subdomain"] = "web"
        let plan = EndpointSlicePlanner.plan(service: service, pods: [try object(value)], zones: [:], existing: [])
        #expect(plan.creates.first?[path: "metadata", "labels", "service.kubernetes.io/headless"]?.string == "")
        #expect(plan.creates.first?["endpoints"]?.array?.first?["hostname"]?.string == "a")
    }

    @Test("an ExternalName Service has no slices")
    func externalName() throws {
        let slices = try apply(EndpointSlicePlanner.plan(service: try service(), pods: [], zones: [:], existing: []), to: [])
        let plan = EndpointSlicePlanner.plan(
            service: try service { $0[path: "spec", "type"] = "ExternalName" }, pods: [], zones: [:], existing: slices)
        #expect(plan.deletes == slices.map(\.metadata.name))
    }

    @Test("the tracker calls the cache stale until it shows what was written")
    func tracker() throws {
        let tracker = EndpointSliceTracker()
        let slice = try object(["metadata": ["name": "s", "uid": "u", "generation": 2]])
        let older = try object(["metadata": ["name": "s", "uid": "u", "generation": 1]])
        tracker.expect("default/web", slice)
        #expect(tracker.isStale("default/web", []))
        #expect(tracker.isStale("default/web", [older]))
        #expect(!tracker.isStale("default/web", [slice]))
        tracker.expectDeletion("default/web", uid: "u")
        #expect(tracker.isStale("default/web", [slice]))
        tracker.observeDeletion("default/web", uid: "u")
        #expect(!tracker.isStale("default/web", []))
    }
}

@Suite("Endpoints")
struct EndpointsTests {
    @Test("ready and unready addresses stand in one subset, and nothing is written twice")
    func subset() throws {
        let pods = [try pod("a", ip: "10.1.0.1"), try pod("b", ready: false, ip: "10.1.0.2"), try pod("c", ip: "10.1.0.3", deleting: true)]
        let value = try #require(EndpointsPlanner.plan(service: try service(), pods: pods, existing: nil))
        let subsets = try #require(value["subsets"]?.array)
        #expect(subsets.count == 1)
        #expect(subsets.first?["addresses"]?.array?.compactMap { $0["ip"]?.string } == ["10.1.0.1"])
        #expect(subsets.first?["notReadyAddresses"]?.array?.compactMap { $0["ip"]?.string } == ["10.1.0.2"])
        #expect(subsets.first?["ports"] == [["name": "http", "port": 8080, "protocol": "TCP"]])
        #expect(EndpointsPlanner.plan(service: try service(), pods: pods, existing: try object(value)) == nil)
    }

    @Test("a port that only some pods have makes subsets of its own")
    func repack() throws {
        let service = try service {
            $0[path: "spec", "ports"] = [["name": "http", "port": 80, "targetPort": 8080], ["name": "admin", "port": 90, "targetPort": "admin"]]
        }
        let pods = [try pod("a", ip: "10.1.0.1", ports: [["name": "admin", "containerPort": 9000]]), try pod("b", ip: "10.1.0.2")]
        let (subsets, _) = EndpointsPlanner.subsets(service: service, pods: pods)
        #expect(subsets.count == 2)
        let admin = subsets.first { $0["ports"]?.array?.first?["name"]?.string == "admin" }
        #expect(admin?["addresses"]?.array?.count == 1)
    }
}
