import KubeAPI

/// Services may not claim addresses of others (CVE-2020-8554): external addresses can be kept or dropped, not added. Upstream:
/// plugin/network/denyserviceexternalips.
struct DenyServiceExternalIPs: AdmissionPlugin {
    let name = "DenyServiceExternalIPs"

    func validate(_ attributes: AdmissionAttributes) async throws {
        guard attributes.isFor(.services, .create, .update) else { return }
        let wanted = (attributes.object[path: "spec", "externalIPs"]?.array ?? []).compactMap(\.string)
        let held = Set(attributes.oldObject?["spec"]["externalIPs"].strings ?? [])
        guard wanted.allSatisfy(held.contains) else { throw attributes.forbidden("Use of external IPs is denied by admission control.") }
    }
}
