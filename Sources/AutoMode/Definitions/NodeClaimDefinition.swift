/// The CustomResourceDefinition of NodeClaims. Upstream: karpenter.sh_nodeclaims.yaml.
enum NodeClaimDefinition {
    static let text = """
        apiVersion: apiextensions.k8s.io/v1
        kind: CustomResourceDefinition
        metadata:
          name: nodeclaims.karpenter.sh
        spec:
          group: karpenter.sh
          scope: Cluster
          names: {kind: NodeClaim, listKind: NodeClaimList, plural: nodeclaims, singular: nodeclaim, categories: [karpenter]}
          versions:
          - name: v1
            served: true
            storage: true
            subresources: {status: {}}
            additionalPrinterColumns:
            - {name: Type, type: string, jsonPath: '.metadata.labels.node\\.kubernetes\\.io/instance-type'}
            - {name: Capacity, type: string, jsonPath: '.metadata.labels.karpenter\\.sh/capacity-type'}
            - {name: Zone, type: string, jsonPath: '.metadata.labels.topology\\.kubernetes\\.io/zone'}
            - {name: Node, type: string, jsonPath: .status.nodeName}
            - {name: Ready, type: string, jsonPath: '.status.conditions[?(@.type=="Ready")].status'}
            - {name: Age, type: date, jsonPath: .metadata.creationTimestamp}
            - {name: ID, type: string, jsonPath: .status.providerID, priority: 1}
            - {name: NodePool, type: string, jsonPath: '.metadata.labels.karpenter\\.sh/nodepool', priority: 1}
            - {name: NodeClass, type: string, jsonPath: .spec.nodeClassRef.name, priority: 1}
            - {name: Drifted, type: string, jsonPath: '.status.conditions[?(@.type=="Drifted")].status', priority: 1}
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
                    required: [nodeClassRef, requirements]
                    x-kubernetes-validations:
                    - {rule: self == oldSelf, message: spec is immutable}
                    properties:
                      expireAfter: {type: string, default: 336h, pattern: \(DefinitionParts.nillableDuration)}
                      terminationGracePeriod: {type: string, pattern: \(DefinitionParts.duration)}
                      nodeClassRef: \(DefinitionParts.classReference)
                      requirements:
                        type: array
                        maxItems: 100
                        items: \(DefinitionParts.requirement.replacing("values: {type: array, maxItems: 100,", with: "values: {type: array,"))
                        x-kubernetes-validations: \(DefinitionParts.requirementRules)
                      resources:
                        type: object
                        properties:
                          requests: \(DefinitionParts.quantities)
                      startupTaints: {type: array, items: \(DefinitionParts.taint)}
                      taints: {type: array, items: \(DefinitionParts.taint)}
                  status:
                    type: object
                    properties:
                      nodeName: {type: string}
                      providerID: {type: string}
                      imageID: {type: string}
                      lastPodEventTime: {type: string, format: date-time}
                      capacity: \(DefinitionParts.quantities)
                      allocatable: \(DefinitionParts.quantities)
        \(DefinitionParts.conditions)
        """
}
