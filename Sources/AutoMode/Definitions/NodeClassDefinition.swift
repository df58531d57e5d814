/// The CustomResourceDefinition of NodeClasses. Upstream: EKS User Guide, "Node Class Specification".
enum NodeClassDefinition {
    /// A term that selects by id or by tags, of security groups also by name.
    private static func term(_ prefix: String, hasName: Bool) -> String {
        let others = hasName ? ["tags", "name"] : ["tags"]
        let any = (["id"] + others).map { "has(self.\($0))" }.joined(separator: " || ")
        let none = others.map { "!has(self.\($0))" }.joined(separator: " && ")
        let names = (["tags", "id"] + (hasName ? ["name"] : [])).map { "'\($0)'" }.joined(separator: ", ")
        return """
            {type: object, x-kubernetes-validations: [{rule: "\(any)", message: "expected at least one, got none, [\(names)]"}, \
            {rule: "!has(self.id) || (\(none))", message: "'id' is mutually exclusive, cannot be set with a combination of other fields"}], \
            properties: {id: {type: string, pattern: '^\(prefix)-[0-9a-z]+$'}, \(hasName ? "name: {type: string}, " : "")\
            tags: {type: object, maxProperties: 20, additionalProperties: {type: string}}}}
            """
    }

    private static let restrictedTags = """
        [{rule: "self.all(k, k != '' && !k.startsWith('kubernetes.io/cluster') && k != 'karpenter.sh/provisioner-name' && k != 'karpenter.sh/nodepool' \
        && k != 'karpenter.sh/nodeclaim' && k != 'karpenter.sh/managed-by' && k != 'eks.amazonaws.com/nodeclass')", message: "tag contains a restricted key"}]
        """

    static let text = """
        apiVersion: apiextensions.k8s.io/v1
        kind: CustomResourceDefinition
        metadata:
          name: nodeclasses.eks.amazonaws.com
        spec:
          group: eks.amazonaws.com
          scope: Cluster
          names: {kind: NodeClass, listKind: NodeClassList, plural: nodeclasses, singular: nodeclass}
          versions:
          - name: v1
            served: true
            storage: true
            subresources: {status: {}}
            additionalPrinterColumns:
            - {name: Role, type: string, jsonPath: .spec.role}
            - {name: Ready, type: string, jsonPath: '.status.conditions[?(@.type=="Ready")].status'}
            - {name: Age, type: date, jsonPath: .metadata.creationTimestamp}
            schema:
              openAPIV3Schema:
                type: object
                required: [spec]
                properties:
                  apiVersion: {type: string}
                  kind: {type: string}
                  metadata: {type: object}
                  spec:
                    type: object
                    required: [role, subnetSelectorTerms, securityGroupSelectorTerms]
                    properties:
                      role: {type: string, minLength: 1, maxLength: 64}
                      subnetSelectorTerms:
                        type: array
                        minItems: 1
                        maxItems: 30
                        items: \(term("subnet", hasName: false))
                      securityGroupSelectorTerms:
                        type: array
                        minItems: 1
                        maxItems: 30
                        items: \(term("sg", hasName: true))
                      snatPolicy: {type: string, default: Random, enum: [Random, Disabled]}
                      networkPolicy: {type: string, default: DefaultAllow, enum: [DefaultAllow, DefaultDeny]}
                      networkPolicyEventLogs: {type: string, default: Disabled, enum: [Enabled, Disabled]}
                      ephemeralStorage:
                        type: object
                        default: {iops: 3000, size: 80Gi, throughput: 125}
                        properties:
                          size: {type: string, default: 80Gi, pattern: '^((?:[1-9][0-9]{0,3}|[1-4][0-9]{4}|[5][0-8][0-9]{3}|59000)Gi|(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|[6][0-3][0-9]{3}|64000)G|([1-9]||[1-5][0-7]|58)Ti|([1-9]||[1-5][0-9]|6[0-3]|64)T)$'}
                          iops: {type: integer, default: 3000, minimum: 3000, maximum: 16000}
                          throughput: {type: integer, default: 125, minimum: 125, maximum: 1000}
                          kmsKeyID: {type: string}
                      advancedNetworking:
                        type: object
                        properties:
                          associatePublicIPAddress: {type: boolean}
                          httpsProxy: {type: string, maxLength: 255}
                          noProxy: {type: array, maxItems: 50, items: {type: string, maxLength: 255}}
                      certificateBundles:
                        type: array
                        items: {type: object, required: [name, data], properties: {name: {type: string}, data: {type: string, format: byte}}}
                      tags: {type: object, maxProperties: 50, additionalProperties: {type: string}, x-kubernetes-validations: \(restrictedTags)}
                  status:
                    type: object
                    properties:
                      instanceProfile: {type: string}
                      subnets:
                        type: array
                        items: {type: object, required: [id, zone], properties: {id: {type: string}, zone: {type: string}, zoneID: {type: string}}}
                      securityGroups:
                        type: array
                        items: {type: object, required: [id], properties: {id: {type: string}, name: {type: string}}}
        \(DefinitionParts.conditions)
        """
}
