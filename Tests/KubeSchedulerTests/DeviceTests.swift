import KubeAPI
import KubeClient
import Testing

@testable import KubeScheduler

@Suite("Scheduler: pods with ResourceClaims")
struct DeviceTests {
    private func user(_ use: Value, statuses: Value? = nil) throws -> Object {
        var pod: Value = [
            "apiVersion": "v1", "kind": "Pod", "metadata": ["name": "p", "namespace": "default", "uid": "uid-p"],
            "spec": ["containers": [["name": "c", "image": "i"]], "resourceClaims": [use]], "status": ["phase": "Pending"],
        ]
        if let statuses { pod[path: "status", "resourceClaimStatuses"] = statuses }
        return try Object(pod)
    }

    private func claims(_ status: Value? = nil, owner: String? = nil) throws -> Indexer {
        var metadata: Value = ["name": "c1", "namespace": "default"]
        if let owner { metadata["ownerReferences"] = [OwnerReference(apiVersion: "v1", kind: "Pod", name: "p", uid: owner).value] }
        var claim: Value = ["apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim", "metadata": metadata, "spec": [:]]
        if let status { claim["status"] = status }
        let indexer = Indexer()
        indexer.set(try Object(claim))
        return indexer
    }

    private func outcome(_ pod: Object, _ claims: Indexer) throws -> SchedulingCycle.Outcome {
        var all = cache([try node("a", labels: ["rack": "1"]), try node("b", labels: ["rack": "2"])], [])
        var cycle = SchedulingCycle(profile: .standard)
        var input = CycleInput(pod: PodInfo(pod))
        #expect(input.pod.hasResourceClaims)
        input.devices = DeviceNeeds(pod, claims: claims)
        return cycle.schedule(input, &all, random: { _ in 0 })
    }

    private func message(_ outcome: SchedulingCycle.Outcome) -> String? { if case .unfit(let error) = outcome { error.message } else { nil } }

    private let named: Value = ["name": "gpu", "resourceClaimName": "c1"]
    private let templated: Value = ["name": "gpu", "resourceClaimTemplateName": "t"]

    @Test("a claim without devices fits nowhere, as where no driver offers any; one with devices fits where they are")
    func allocation() throws {
        #expect(
            message(try outcome(try user(named), try claims()))?.hasPrefix("0/2 nodes are available: 2 cannot allocate all claims.") == true)
        let term: Value = ["matchExpressions": [["key": "rack", "operator": "In", "values": ["2"]]]]
        let placed: Value = ["allocation": ["devices": [:], "nodeSelector": ["nodeSelectorTerms": [term]]]]
        #expect(try outcome(try user(named), try claims(placed)) == .node("b"))
        let everywhere: Value = ["allocation": ["devices": [:]]]
        #expect(message(try outcome(try user(named), try claims(everywhere))) == nil)
    }

    @Test("claims that are not made, gone, going or another's are told; where a template needs none, none is waited for")
    func missing() throws {
        func refusal(_ pod: Object, _ claims: Indexer) -> String? { DeviceNeeds(pod, claims: claims).refusal }
        #expect(refusal(try user(named), Indexer()) == "resourceclaim.resource.k8s.io \"c1\" not found")
        #expect(refusal(try user(templated), try claims()) == "pod \"default/p\": ResourceClaim not created yet")
        let made: Value = [["name": "gpu", "resourceClaimName": "c1"]]
        #expect(refusal(try user(templated, statuses: made), try claims(owner: "uid-p")) == nil)
        #expect(
            refusal(try user(templated, statuses: made), try claims(owner: "uid-other"))
                == "ResourceClaim default/c1 was not created for pod default/p (pod is not owner)")
        let none = DeviceNeeds(try user(templated, statuses: [["name": "gpu"]]), claims: Indexer())
        #expect(none.refusal == nil && !none.isUnallocated)
    }

    @Test("a pod that fits nowhere is told of claims before preemption, as since 1.34; while its own are made it is not tried at all")
    func words() throws {
        var error = FitError(nodeCount: 2, reasons: ["Insufficient cpu": 2], plugins: [])
        error.devices = Profile.standard.wordOnDevices(of: try pod("p"))
        error.preemption = "0/2 nodes are available: 2 No preemption victims found for incoming pod."
        #expect(
            error.message
                == "0/2 nodes are available: 2 Insufficient cpu. no new claims to deallocate, preemption: 0/2 nodes are available: "
                + "2 No preemption victims found for incoming pod.")
        #expect(Profile.standard.wordOnDevices(of: PodInfo(try user(named))) == "still not schedulable")
        var queue = SchedulingQueue()
        queue.set(PodInfo(try user(templated)), now: epoch)
        let popped = queue.pop()
        queue.addWaiting(try #require(popped), for: [DynamicResources.name], now: epoch)
        #expect(queue.move(.namespaceChanged, now: epoch).isEmpty && queue.unschedulableCount == 1)
        #expect(queue.move(.devicesChanged, now: epoch).isEmpty && queue.activeCount == 1)
        #expect(queue.pop()?.attempts == 1)
    }

    @Test("a waiting pod whose claims were made is tried again")
    func wakes() throws {
        let (before, after) = (try user(templated), try user(templated, statuses: [["name": "gpu", "resourceClaimName": "c1"]]))
        #expect(PodChange.hasGotClaims(before, after) && !PodChange.hasGotClaims(after, after))
        #expect(ClusterEvent.devicesChanged.concerns(["DynamicResources"]) && !ClusterEvent.devicesChanged.concerns(["NodeAffinity"]))
    }
}
