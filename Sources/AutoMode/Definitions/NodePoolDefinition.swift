/// The CustomResourceDefinition of NodePools. Upstream: karpenter.sh_nodepools.yaml.
enum NodePoolDefinition {
    static let text = """
        apiVersion: apiextensions.k8s.io/v1
        kind: CustomResourceDefinition
        metadata:
          name: nodepools.karpenter.sh
        spec:
          group: karpenter.sh
          scope: Cluster
          names: {kind: NodePool, listKind: NodePoolList, plural: nodepools, singular: nodepool, categories: [karpenter]}
          versions:
          - name: v1
            served: true
            storage: true
            subresources: {status: {}}
            additionalPrinterColumns:
            - {name: NodeClass, type: string, jsonPath: .spec.template.spec.nodeClassRef.name}
            - {name: Nodes, type: string, jsonPath: .status.nodes}
            - {name: Ready, type: string, jsonPath: '.status.conditions[?(@.type=="Ready")].status'}
            - {name: Age, type: date, jsonPath: .metadata.creationTimestamp}
            - {name: Weight, type: integer, jsonPath: .spec.weight, priority: 1}
            - {name: CPU, type: string, jsonPath: .status.resources.cpu, priority: 1}
            - {name: Memory, type: string, jsonPath: .status.resources.memory, priority: 1}
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
                    required: [template]
                    properties:
                      weight: {type: integer, format: int32, minimum: 1, maximum: 100}
                      limits: \(DefinitionParts.quantities)
                      disruption:
                        type: object
                        default: {consolidateAfter: 0s}
                        required: [consolidateAfter]
                        properties:
                          consolidateAfter: {type: string, default: 0s, pattern: \(DefinitionParts.nillableDuration)}
                          consolidationPolicy: {type: string, default: WhenEmptyOrUnderutilized, enum: [WhenEmpty, WhenEmptyOrUnderutilized]}
                          budgets:
                            type: array
                            maxItems: 50
                            default: [{nodes: 10%}]
                            x-kubernetes-validations:
                            - rule: self.all(x, has(x.schedule) == has(x.duration))
                              message: '''schedule'' must be set with ''duration'''
                            items:
                              type: object
                              required: [nodes]
                              properties:
                                nodes: {type: string, default: 10%, pattern: '^((100|[0-9]{1,2})%|[0-9]+)$'}
                                duration: {type: string, pattern: '^((([0-9]+(h|m))|([0-9]+h[0-9]+m))(0s)?)$'}
                                schedule:
                                  type: string
                                  maxLength: 128
                                  pattern: '^(@(annually|yearly|monthly|weekly|daily|midnight|hourly))|((.+)\\s(.+)\\s(.+)\\s(.+)\\s(.+))$'
                                reasons: {type: array, maxItems: 50, items: {type: string, enum: [Underutilized, Empty, Drifted]}}
                      template:
                        type: object
                        required: [spec]
                        properties:
                          metadata:
                            type: object
                            properties:
                              annotations: {type: object, additionalProperties: {type: string}}
                              labels:
                                type: object
                                maxProperties: 100
                                additionalProperties: {type: string, maxLength: 63}
                                x-kubernetes-validations:
                                - rule: self.all(x, x != "karpenter.sh/nodepool")
                                  message: label "karpenter.sh/nodepool" is restricted
                                - rule: self.all(x, x != "kubernetes.io/hostname")
                                  message: label "kubernetes.io/hostname" is restricted
                          spec:
                            type: object
                            required: [nodeClassRef, requirements]
                            properties:
                              expireAfter: {type: string, default: 336h, pattern: \(DefinitionParts.nillableDuration)}
                              terminationGracePeriod: {type: string, pattern: \(DefinitionParts.duration)}
                              nodeClassRef: \(DefinitionParts.classReference)
                              requirements:
                                type: array
                                maxItems: 100
                                items: \(DefinitionParts.requirement)
                                x-kubernetes-validations: \(DefinitionParts.requirementRules)
                              startupTaints: {type: array, items: \(DefinitionParts.taint)}
                              taints: {type: array, items: \(DefinitionParts.taint)}
                            x-kubernetes-validations:
                            - rule: self.expireAfter != 'Never'
                              message: expireAfter may not be 'Never', nodes of EKS Auto Mode live 21 days at most
                            - rule: >-
                                self.expireAfter == 'Never' || duration(self.expireAfter) + (has(self.terminationGracePeriod) ?
                                duration(self.terminationGracePeriod) : duration('24h')) <= duration('504h')
                              message: the sum of expireAfter and terminationGracePeriod (defaulted to 24h) may not exceed 21 days
                  status:
                    type: object
                    properties:
                      nodes: {type: integer, format: int64}
                      nodeClassObservedGeneration: {type: integer, format: int64}
                      resources: \(DefinitionParts.quantities)
        \(DefinitionParts.conditions)
        """
}
