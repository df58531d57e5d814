import KubeAPI

/// A NodeClass as it is read. Upstream: eks.amazonaws.com/v1 NodeClass.
struct NodeClass: Sendable {
    /// Upstream: the annotation eks.amazonaws.com/nodeclass-hash-version of EKS's clusters.
    static let hashVersion = "v2"

    let object: Object

    init(_ object: Object) { self.object = object }

    var role: String { object["spec"]["role"].string ?? "" }
    var tags: [String: String] { object["spec"]["tags"].stringMap }

    var selection: NodeClassSelection {
        func terms(_ name: String) -> [NodeClassSelection.Term] {
            object["spec"][name].elements.map { .init(id: $0["id"].string, name: $0["name"].string, tags: $0["tags"].stringMap) }
        }
        return NodeClassSelection(subnets: terms("subnetSelectorTerms"), securityGroups: terms("securityGroupSelectorTerms"), role: role)
    }

    /// The subnets found for it in a zone.
    func subnets(in zone: String) -> [String] {
        object["status"]["subnets"].elements.filter { $0["zone"].string == zone }.compactMap { $0["id"].string }
    }

    var securityGroups: [String] { object["status"]["securityGroups"].elements.compactMap { $0["id"].string } }

    /// What nodes are made of apart from what the selectors find.
    var hash: String {
        var fields = object["spec"].value ?? [:]
        fields["subnetSelectorTerms"] = nil
        fields["securityGroupSelectorTerms"] = nil
        return Fingerprint.of(fields)
    }
}
