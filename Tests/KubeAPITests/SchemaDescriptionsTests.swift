import Testing

@testable import KubeAPI

@Suite("Descriptions of types and fields")
struct SchemaDescriptionsTests {
    private let descriptions = SchemaDescriptions()
    private let table = SchemaTable.shared

    @Test("each text is of a type or field there is, so that none is left behind by a new version of the API")
    func known() {
        let fields = Set(table.types.flatMap { $0.fields.map(\.name) })
        for name in descriptions.names {
            if name.hasPrefix("*.") || name.hasPrefix("@.") {
                #expect(fields.contains(String(name.dropFirst(2))), "\(name)")
                continue
            }
            func type(_ name: String) -> SchemaType? { table.type(named: "api.\(name)") ?? table.type(named: name) }
            if type(name) != nil { continue }
            let parts = name.split(separator: ".")
            let owner = type(parts.dropLast().joined(separator: "."))
            #expect(owner?.fields.contains { $0.name == parts.last ?? "" } == true, "\(name)")
        }
    }

    @Test("what people write every day is described whole: the workloads, their pods and containers, services, configuration")
    func whole() throws {
        let names = [
            "core.v1.Pod", "core.v1.PodSpec", "core.v1.Container", "core.v1.ContainerPort", "core.v1.EnvVar", "core.v1.VolumeMount", "core.v1.Probe",
            "core.v1.ConfigMap", "core.v1.Secret", "core.v1.Service", "core.v1.ServicePort", "apps.v1.Deployment", "apps.v1.DeploymentSpec",
            "apps.v1.StatefulSetSpec", "apps.v1.DaemonSetSpec", "batch.v1.JobSpec", "batch.v1.CronJobSpec", "networking.v1.NetworkPolicySpec",
            "networking.v1.IngressSpec", "rbac.v1.PolicyRule", "autoscaling.v2.HorizontalPodAutoscalerSpec", "policy.v1.PodDisruptionBudgetSpec",
        ]
        // Behind gates, or of no use to who writes the object.
        let left: Set = ["hostnameOverride", "schedulingGroup", "setHostnameAsFQDN", "clusterIPs", "loadBalancerIP", "sessionAffinityConfig"]
        for name in names {
            let type = try #require(table.type(named: "api.\(name)"))
            for field in type.fields where !left.contains(field.name) {
                #expect(descriptions.text(of: field.name, in: type) != nil, "\(name).\(field.name)")
            }
        }
        let pod = try #require(table.type(named: "api.core.v1.Pod"))
        let reference = try #require(table.type(named: "api.core.v1.ObjectReference"))
        #expect(descriptions.text(of: pod)?.hasPrefix("Pod is one or more containers") == true)
        #expect(descriptions.text(of: "kind", in: pod) != descriptions.text(of: "kind", in: reference))
    }
}
