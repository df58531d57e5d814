import Dispatch
import Glibc
import HTTPTransport
import KubeAPI
import KubeClient
import Testing

@testable import ControlPlane

/// Whether kubectl and openssl are on PATH; `make test` puts a kubectl of a fixed version there.
private let hasTools = ["kubectl", "openssl"].allSatisfy { tool in
    (getenv("PATH").map { String(cString: $0) } ?? "").split(separator: ":").contains { access("\($0)/\(tool)", X_OK) == 0 }
}

/// Policy as its users see it: admission, controllers and kubectl together, on a whole control plane without nodes.
@Suite struct PolicyTests {
    private typealias Fixture = ControlPlaneTests.Fixture

    /// Runs a shell line off the cooperative pool, with `kubectl` for an administrator's.
    private static func shell(_ fixture: Fixture, _ line: String) async -> String {
        let options = "--kubeconfig /dev/null --server \(fixture.endpoint.url) --certificate-authority \(fixture.directory)/cluster/ca.pem"
        let prelude =
            "cd \(fixture.directory); anybody() { command kubectl \(options) \"$@\"; }; kubectl() { anybody --token administrator \"$@\"; }; "
        return await withCheckedContinuation { continuation in
            DispatchQueue.global().async {
                guard let pipe = popen("bash -c '\(prelude)\(line)' 2>&1", "r") else { return continuation.resume(returning: "popen failed") }
                var out: [UInt8] = []
                var buffer = [UInt8](repeating: 0, count: 4096)
                while case let count = fread(&buffer, 1, buffer.count, pipe), count > 0 { out += buffer[..<count] }
                pclose(pipe)
                continuation.resume(returning: String(decoding: out, as: UTF8.self))
            }
        }
    }

    private func pod(_ name: String, labels: [String: String] = ["app": "web"], node: String? = nil) -> Value {
        var value: Value = [
            "apiVersion": "v1", "kind": "Pod", "metadata": ["name": .string(name), "namespace": "default", "labels": Value(labels)],
            "spec": ["containers": [["name": "c", "image": "nginx"]]],
        ]
        if let node { value[path: "spec", "nodeName"] = .string(node) }
        return value
    }

    private func furnished(_ fixture: Fixture) async throws {
        try await fixture.eventually("the default service account") {
            try await fixture.client.list(.serviceAccounts, namespace: "default").items.count == 1
        }
    }

    /// Does what a kubelet would tell of a pod.
    private func report(_ fixture: Fixture, _ name: String, ready: Bool = true) async throws {
        let condition: Value = ["type": "Ready", "status": ready ? "True" : "False", "lastTransitionTime": .string(Timestamp.now.rfc3339)]
        try await fixture.client.patch(
            .pods, namespace: "default", name: name, type: .merge, ["status": ["phase": "Running", "conditions": [condition]]], subresource: "status")
    }

    @Test("a quota follows the life of pods, secrets and custom counts, and is right again after a pod has gone")
    func quotaLife() async throws {
        let fixture = try await Fixture.start()
        let client = fixture.client
        try await furnished(fixture)
        func used(_ name: String) async throws -> String? {
            try await client.get(.resourceQuotas, namespace: "default", name: "q")["status"]["used"][name].string
        }
        try await client.create(.pods, pod("before"))
        let hard: Value = ["pods": "2", "count/secrets": "5", "configmaps": "10", "count/deployments.apps": "1", "services": "3"]
        try await client.create(
            .resourceQuotas,
            ["apiVersion": "v1", "kind": "ResourceQuota", "metadata": ["name": "q", "namespace": "default"], "spec": ["hard": hard]])
        try await fixture.eventually("the status of a new quota") {
            let counts = [
                try await used("pods"), try await used("count/secrets"), try await used("configmaps"), try await used("count/deployments.apps"),
            ]
            return counts == ["1", "0", "1", "0"]
        }
        try await client.create(.pods, pod("second"))
        #expect(try await used("pods") == "2", "booked before the pod is there")
        do {
            try await client.create(.pods, pod("third"))
            Issue.record("the third pod should be refused")
        } catch let error as StatusError {
            #expect(error.message == "pods \"third\" is forbidden: exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2")
        }
        try await client.delete(.pods, namespace: "default", name: "before", options: DeleteOptions(gracePeriodSeconds: 0))
        try await fixture.eventually("the place is free again") { try await used("pods") == "1" }
        try await client.create(.secrets, ["apiVersion": "v1", "kind": "Secret", "metadata": ["name": "s", "namespace": "default"]])
        #expect(try await used("count/secrets") == "1")
        try await client.delete(.secrets, namespace: "default", name: "s")
        try await fixture.eventually("the secret no longer counts") { try await used("count/secrets") == "0" }
        await fixture.controlPlane.stop()
        try fixture.expectNothingRefused()
    }

    @Test("what admission booked for a request that failed after it is given back")
    func leakedReservation() async throws {
        let fixture = try await Fixture.start()
        let client = fixture.client
        try await furnished(fixture)
        try await client.create(
            .resourceQuotas,
            ["apiVersion": "v1", "kind": "ResourceQuota", "metadata": ["name": "q", "namespace": "default"], "spec": ["hard": ["services": "3"]]])
        func used() async throws -> String? {
            try await client.get(.resourceQuotas, namespace: "default", name: "q")["status"]["used"]["services"].string
        }
        try await fixture.eventually("the quota is known") { try await used() == "1" }
        // As an update of the status that no object stands behind.
        try await client.patch(
            .resourceQuotas, namespace: "default", name: "q", type: .merge, ["status": ["used": ["services": "3"]]], subresource: "status")
        try await fixture.eventually("the quota is counted again") { try await used() == "1" }
        await fixture.controlPlane.stop()
        try fixture.expectNothingRefused()
    }

    @Test("a disruption budget lets one pod go at a time, counts unready ones and answers 429 with the cause")
    func disruption() async throws {
        let fixture = try await Fixture.start()
        let client = fixture.client
        try await furnished(fixture)
        for name in ["a", "b"] {
            try await client.create(.pods, pod(name, node: "n1"))
            try await report(fixture, name)
        }
        let budget: Value = [
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": ["name": "b", "namespace": "default"],
            "spec": ["minAvailable": 1, "selector": ["matchLabels": ["app": "web"]]],
        ]
        try await client.create(.podDisruptionBudgets, budget)
        func status() async throws -> JSONView? { try await client.get(.podDisruptionBudgets, namespace: "default", name: "b")["status"] }
        try await fixture.eventually("one disruption is allowed") { try await status()["disruptionsAllowed"].int == 1 }
        #expect(try await status()["conditions"].elements.first?["reason"].string == "SufficientPods")
        func evict(_ name: String) async throws {
            let eviction: Value = ["apiVersion": "policy/v1", "kind": "Eviction", "metadata": ["name": .string(name), "namespace": "default"]]
            try await client.create(.pods, eviction, name: name, subresource: "eviction")
        }
        try await evict("a")
        let gone = try await client.get(.pods, namespace: "default", name: "a")
        let target = gone["status"]["conditions"].elements.first { $0["type"].string == "DisruptionTarget" }
        #expect(gone.metadata.isBeingDeleted && target["reason"].string == "EvictionByEvictionAPI")
        do {
            try await evict("b")
            Issue.record("the second eviction should wait")
        } catch let error as StatusError {
            #expect(error.code == 429 && error.details?.causes.first?.reason == "DisruptionBudget")
        }
        try await client.delete(.pods, namespace: "default", name: "a", options: DeleteOptions(gracePeriodSeconds: 0))
        try await client.create(.pods, pod("c", node: "n1"))
        try await report(fixture, "c")
        try await fixture.eventually("its successor makes room") { try await status()["disruptionsAllowed"].int == 1 }
        try await evict("b")
        await fixture.controlPlane.stop()
        try fixture.expectNothingRefused()
    }

    @Test("a claim stays while a pod uses it and goes with it; a volume goes when nothing is bound to it")
    func protection() async throws {
        let fixture = try await Fixture.start()
        let client = fixture.client
        try await furnished(fixture)
        let claim: Value = [
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": ["name": "c", "namespace": "default"],
            "spec": ["accessModes": ["ReadWriteOnce"], "storageClassName": "", "resources": ["requests": ["storage": "1Gi"]]],
        ]
        let made = try await client.create(.persistentVolumeClaims, claim)
        #expect(made.metadata.finalizers == ["kubernetes.io/pvc-protection"])
        var user = pod("user", node: "n1")
        user[path: "spec", "volumes"] = [["name": "v", "persistentVolumeClaim": ["claimName": "c"]]]
        try await client.create(.pods, user)
        try await client.delete(.persistentVolumeClaims, namespace: "default", name: "c")
        #expect(try await client.get(.persistentVolumeClaims, namespace: "default", name: "c").metadata.isBeingDeleted)
        try await client.delete(.pods, namespace: "default", name: "user", options: DeleteOptions(gracePeriodSeconds: 0))
        try await fixture.eventually("the claim gone") { try await client.list(.persistentVolumeClaims, namespace: "default").items.isEmpty }
        let volume: Value = [
            "apiVersion": "v1", "kind": "PersistentVolume", "metadata": ["name": "v"],
            "spec": [
                "accessModes": ["ReadWriteOnce"], "capacity": ["storage": "1Gi"], "hostPath": ["path": "/tmp/v"], "storageClassName": "",
            ],
        ]
        #expect(try await client.create(.persistentVolumes, volume).metadata.finalizers == ["kubernetes.io/pv-protection"])
        try await client.delete(.persistentVolumes, name: "v")
        try await fixture.eventually("the volume gone") { try await client.list(.persistentVolumes).items.isEmpty }
        await fixture.controlPlane.stop()
        try fixture.expectNothingRefused()
    }

    // MARK: With kubectl

    @Test("kubectl certificate approve leads to a certificate that authenticates; its owner may do what roles say", .enabled(if: hasTools))
    func certificates() async throws {
        let fixture = try await Fixture.start()
        let made = await Self.shell(
            fixture,
            """
            openssl req -new -newkey rsa:2048 -nodes -keyout jane.key -out jane.csr -subj "/O=dev/CN=jane" 2>/dev/null
            printf "apiVersion: certificates.k8s.io/v1\\nkind: CertificateSigningRequest\\nmetadata: {name: jane}\\nspec:\\n  request: %s\\n" \
            "$(base64 -w0 < jane.csr)" > jane.yaml
            printf "  signerName: kubernetes.io/kube-apiserver-client\\n  usages: [client auth]\\n  expirationSeconds: 86400\\n" >> jane.yaml
            kubectl apply -f jane.yaml; kubectl get csr jane --no-headers | awk "{print \\$3, \\$4, \\$5, \\$6}"
            """)
        #expect(made == "certificatesigningrequest.certificates.k8s.io/jane created\nkubernetes.io/kube-apiserver-client admin 24h Pending\n")
        #expect(
            await Self.shell(fixture, "kubectl certificate approve jane") == "certificatesigningrequest.certificates.k8s.io/jane approved\n")
        try await fixture.eventually("the certificate") {
            await Self.shell(fixture, "kubectl get csr jane --no-headers").contains("Approved,Issued")
        }
        let who = await Self.shell(
            fixture,
            """
            kubectl get csr jane -o jsonpath={.status.certificate} | base64 -d > jane.pem
            anybody --client-certificate jane.pem --client-key jane.key auth whoami
            anybody --client-certificate jane.pem --client-key jane.key get pods
            """)
        #expect(who.contains("Username  jane") || who.contains("jane"))
        #expect(who.contains("[dev system:authenticated]"))
        #expect(who.contains("pods is forbidden: User \"jane\" cannot list resource \"pods\""))
        await fixture.controlPlane.stop()
        try fixture.expectNothingRefused()
    }

    @Test("kubectl label on a namespace warns of its pods, and a refused pod says why", .enabled(if: hasTools))
    func podSecurity() async throws {
        let fixture = try await Fixture.start()
        try await furnished(fixture)
        try await fixture.client.create(.pods, pod("old"))
        let labelled = await Self.shell(
            fixture, "kubectl label ns default pod-security.kubernetes.io/enforce=restricted pod-security.kubernetes.io/warn=restricted")
        #expect(
            labelled == """
                Warning: existing pods in namespace "default" violate the new PodSecurity enforce level "restricted:latest"
                Warning: old: allowPrivilegeEscalation != false, unrestricted capabilities, runAsNonRoot != true, seccompProfile
                namespace/default labeled

                """)
        let refused = await Self.shell(fixture, "kubectl run x --image=nginx")
        #expect(
            refused == """
                Error from server (Forbidden): pods "x" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false \
                (container "x" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "x" must set \
                securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or container "x" must set securityContext.runAsNonRoot=true), \
                seccompProfile (pod or container "x" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")

                """)
        let deployment = await Self.shell(fixture, "kubectl create deployment d --image=nginx")
        #expect(
            deployment.hasPrefix("Warning: would violate PodSecurity \"restricted:latest\":") && deployment.hasSuffix("deployment.apps/d created\n"))
        let typo = await Self.shell(fixture, "kubectl label ns default --overwrite pod-security.kubernetes.io/enforce=strict")
        #expect(typo.contains("metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: \"strict\": must be one of"))
        await fixture.controlPlane.stop()
        try fixture.expectNothingRefused()
    }

    @Test("kubectl drain waits for a disruption budget", .enabled(if: hasTools))
    func drain() async throws {
        let fixture = try await Fixture.start()
        let client = fixture.client
        try await furnished(fixture)
        // A node that is not ready has no healthy pods.
        let ready: Value = ["type": "Ready", "status": "True", "lastHeartbeatTime": .string(Timestamp.now.rfc3339)]
        try await client.create(
            .nodes, ["apiVersion": "v1", "kind": "Node", "metadata": ["name": "n1"], "status": ["conditions": [ready]]])
        for name in ["a", "b"] {
            try await client.create(.pods, pod(name, node: "n1"))
            try await report(fixture, name)
        }
        #expect(
            await Self.shell(fixture, "kubectl create pdb b --selector=app=web --min-available=1")
                == "poddisruptionbudget.policy/b created\n")
        try await fixture.eventually("one disruption is allowed") {
            try await client.get(.podDisruptionBudgets, namespace: "default", name: "b")["status"]["disruptionsAllowed"].int == 1
        }
        async let drained = Self.shell(fixture, "kubectl drain n1 --force --timeout=8s")
        // The kubelet's part: a pod that was told to go goes, and stays the only one.
        try await fixture.eventually("the first pod is evicted") {
            let going = try await client.list(.pods, namespace: "default").items.filter(\.metadata.isBeingDeleted)
            for pod in going {
                try await client.delete(.pods, namespace: "default", name: pod.metadata.name, options: DeleteOptions(gracePeriodSeconds: 0))
            }
            return !going.isEmpty
        }
        let said = await drained
        #expect(said.contains("node/n1 cordoned"))
        #expect(said.contains("Cannot evict pod as it would violate the pod's disruption budget."))
        #expect(try await client.list(.pods, namespace: "default").items.count == 1)
        await fixture.controlPlane.stop()
        try fixture.expectNothingRefused()
    }
}
