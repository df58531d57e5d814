/// Minimal objects and what the API adds to them: `+path=value` added, `-path` removed, `~path=value` changed. Recorded from a Kubernetes v1.36 API
/// server; what its admission plug-ins and strategies add (addresses, service accounts, generated selectors) is left out.
enum DefaultingCases {
    struct Case: Sendable, CustomStringConvertible {
        let resource: String
        let sent: String
        let changes: [String]
        var description: String { "\(resource) \(sent.prefix(120))" }
    }

    static let all: [Case] = [
        Case(
            resource: "v1/pods",
            sent: #"""
                {"apiVersion":"v1","kind":"Pod","metadata":{"name":"p1"},"spec":{"containers":[{"image":"nginx","name":"c"}]}}
                """#,
            changes: [
                #"+spec.containers[0].imagePullPolicy="Always""#,
                #"+spec.containers[0].resources={}"#,
                #"+spec.containers[0].terminationMessagePath="/dev/termination-log""#,
                #"+spec.containers[0].terminationMessagePolicy="File""#,
                #"+spec.dnsPolicy="ClusterFirst""#,
                #"+spec.enableServiceLinks=true"#,
                #"+spec.restartPolicy="Always""#,
                #"+spec.schedulerName="default-scheduler""#,
                #"+spec.securityContext={}"#,
                #"+spec.terminationGracePeriodSeconds=30"#,
                #"+status={}"#,
            ]),
        Case(
            resource: "v1/pods",
            sent: #"""
                {"apiVersion":"v1","kind":"Pod","metadata":{"name":"p2"},"spec":{"containers":[{"env":[{"name":"E","valueFrom":{"fieldRef":{"fieldPath":"metadata.name"}}}],"image":"repo/x:1.2","lifecycle":{"preStop":{"httpGet":{"port":1}}},"livenessProbe":{"httpGet":{"port":80}},"name":"c","ports":[{"containerPort":80}],"readinessProbe":{"exec":{"command":["x"]}},"resources":{"limits":{"cpu":"1","memory":"1Gi"}},"securityContext":{"privileged":false},"startupProbe":{"grpc":{"port":9}}}],"initContainers":[{"image":"a@sha256:0000000000000000000000000000000000000000000000000000000000000000","name":"i"}],"volumes":[{"emptyDir":{},"name":"e"},{"configMap":{"name":"x"},"name":"c"},{"name":"s","secret":{"secretName":"x"}},{"downwardAPI":{"items":[{"fieldRef":{"fieldPath":"metadata.labels"},"path":"l"}]},"name":"d"},{"hostPath":{"path":"/x"},"name":"h"},{"name":"pr","projected":{"sources":[{"serviceAccountToken":{"path":"t"}}]}},{"name":"n","nfs":{"path":"/b","server":"a"}},{"iscsi":{"iqn":"iqn.2001-04.com.example:s","lun":0,"targetPortal":"1.2.3.4"},"name":"is"}]}}
                """#,
            changes: [
                #"+spec.containers[0].env[0].valueFrom.fieldRef.apiVersion="v1""#,
                #"+spec.containers[0].imagePullPolicy="IfNotPresent""#,
                #"+spec.containers[0].lifecycle.preStop.httpGet.path="/""#,
                #"+spec.containers[0].lifecycle.preStop.httpGet.scheme="HTTP""#,
                #"+spec.containers[0].livenessProbe.failureThreshold=3"#,
                #"+spec.containers[0].livenessProbe.httpGet.path="/""#,
                #"+spec.containers[0].livenessProbe.httpGet.scheme="HTTP""#,
                #"+spec.containers[0].livenessProbe.periodSeconds=10"#,
                #"+spec.containers[0].livenessProbe.successThreshold=1"#,
                #"+spec.containers[0].livenessProbe.timeoutSeconds=1"#,
                #"+spec.containers[0].ports[0].protocol="TCP""#,
                #"+spec.containers[0].readinessProbe.failureThreshold=3"#,
                #"+spec.containers[0].readinessProbe.periodSeconds=10"#,
                #"+spec.containers[0].readinessProbe.successThreshold=1"#,
                #"+spec.containers[0].readinessProbe.timeoutSeconds=1"#,
                #"+spec.containers[0].resources.requests={"cpu":"1","memory":"1Gi"}"#,
                #"+spec.containers[0].startupProbe.failureThreshold=3"#,
                #"+spec.containers[0].startupProbe.grpc.service="""#,
                #"+spec.containers[0].startupProbe.periodSeconds=10"#,
                #"+spec.containers[0].startupProbe.successThreshold=1"#,
                #"+spec.containers[0].startupProbe.timeoutSeconds=1"#,
                #"+spec.containers[0].terminationMessagePath="/dev/termination-log""#,
                #"+spec.containers[0].terminationMessagePolicy="File""#,
                #"+spec.dnsPolicy="ClusterFirst""#,
                #"+spec.enableServiceLinks=true"#,
                #"+spec.initContainers[0].imagePullPolicy="IfNotPresent""#,
                #"+spec.initContainers[0].resources={}"#,
                #"+spec.initContainers[0].terminationMessagePath="/dev/termination-log""#,
                #"+spec.initContainers[0].terminationMessagePolicy="File""#,
                #"+spec.restartPolicy="Always""#,
                #"+spec.schedulerName="default-scheduler""#,
                #"+spec.securityContext={}"#,
                #"+spec.terminationGracePeriodSeconds=30"#,
                #"+spec.volumes[1].configMap.defaultMode=420"#,
                #"+spec.volumes[2].secret.defaultMode=420"#,
                #"+spec.volumes[3].downwardAPI.defaultMode=420"#,
                #"+spec.volumes[3].downwardAPI.items[0].fieldRef.apiVersion="v1""#,
                #"+spec.volumes[4].hostPath.type="""#,
                #"+spec.volumes[5].projected.defaultMode=420"#,
                #"+spec.volumes[5].projected.sources[0].serviceAccountToken.expirationSeconds=3600"#,
                #"+spec.volumes[7].iscsi.iscsiInterface="default""#,
                #"+status={}"#,
            ]),
        Case(
            resource: "v1/pods",
            sent: #"""
                {"apiVersion":"v1","kind":"Pod","metadata":{"generateName":"p3-"},"spec":{"containers":[{"image":"nginx","name":"c"}],"hostNetwork":true,"topologySpreadConstraints":[{"labelSelector":{"matchLabels":{"a":"b"}},"maxSkew":1,"topologyKey":"z","whenUnsatisfiable":"DoNotSchedule"}]}}
                """#,
            changes: [
                #"+spec.containers[0].imagePullPolicy="Always""#,
                #"+spec.containers[0].resources={}"#,
                #"+spec.containers[0].terminationMessagePath="/dev/termination-log""#,
                #"+spec.containers[0].terminationMessagePolicy="File""#,
                #"+spec.dnsPolicy="ClusterFirst""#,
                #"+spec.enableServiceLinks=true"#,
                #"+spec.restartPolicy="Always""#,
                #"+spec.schedulerName="default-scheduler""#,
                #"+spec.securityContext={}"#,
                #"+spec.terminationGracePeriodSeconds=30"#,
                #"+status={}"#,
            ]),
        Case(
            resource: "apps/v1/deployments",
            sent: #"""
                {"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"d"},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"image":"nginx","name":"c"}]}}}}
                """#,
            changes: [
                #"+spec.progressDeadlineSeconds=600"#,
                #"+spec.replicas=1"#,
                #"+spec.revisionHistoryLimit=10"#,
                #"+spec.strategy={"rollingUpdate":{"maxSurge":"25%","maxUnavailable":"25%"},"type":"RollingUpdate"}"#,
                #"+spec.template.spec.containers[0].imagePullPolicy="Always""#,
                #"+spec.template.spec.containers[0].resources={}"#,
                #"+spec.template.spec.containers[0].terminationMessagePath="/dev/termination-log""#,
                #"+spec.template.spec.containers[0].terminationMessagePolicy="File""#,
                #"+spec.template.spec.dnsPolicy="ClusterFirst""#,
                #"+spec.template.spec.restartPolicy="Always""#,
                #"+spec.template.spec.schedulerName="default-scheduler""#,
                #"+spec.template.spec.securityContext={}"#,
                #"+spec.template.spec.terminationGracePeriodSeconds=30"#,
                #"+status={}"#,
            ]),
        Case(
            resource: "apps/v1/statefulsets",
            sent: #"""
                {"apiVersion":"apps/v1","kind":"StatefulSet","metadata":{"name":"s"},"spec":{"selector":{"matchLabels":{"a":"b"}},"serviceName":"x","template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"image":"nginx","name":"c"}]}},"volumeClaimTemplates":[{"metadata":{"name":"v"},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}}]}}
                """#,
            changes: [
                #"+spec.persistentVolumeClaimRetentionPolicy={"whenDeleted":"Retain","whenScaled":"Retain"}"#,
                #"+spec.podManagementPolicy="OrderedReady""#,
                #"+spec.replicas=1"#,
                #"+spec.revisionHistoryLimit=10"#,
                #"+spec.template.spec.containers[0].imagePullPolicy="Always""#,
                #"+spec.template.spec.containers[0].resources={}"#,
                #"+spec.template.spec.containers[0].terminationMessagePath="/dev/termination-log""#,
                #"+spec.template.spec.containers[0].terminationMessagePolicy="File""#,
                #"+spec.template.spec.dnsPolicy="ClusterFirst""#,
                #"+spec.template.spec.restartPolicy="Always""#,
                #"+spec.template.spec.schedulerName="default-scheduler""#,
                #"+spec.template.spec.securityContext={}"#,
                #"+spec.template.spec.terminationGracePeriodSeconds=30"#,
                #"+spec.updateStrategy={"rollingUpdate":{"partition":0},"type":"RollingUpdate"}"#,
                #"+spec.volumeClaimTemplates[0].apiVersion="v1""#,
                #"+spec.volumeClaimTemplates[0].kind="PersistentVolumeClaim""#,
                #"+spec.volumeClaimTemplates[0].spec.volumeMode="Filesystem""#,
                #"+spec.volumeClaimTemplates[0].status={"phase":"Pending"}"#,
                #"+status={"availableReplicas":0,"replicas":0}"#,
            ]),
        Case(
            resource: "apps/v1/daemonsets",
            sent: #"""
                {"apiVersion":"apps/v1","kind":"DaemonSet","metadata":{"name":"ds"},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"image":"nginx","name":"c"}]}}}}
                """#,
            changes: [
                #"+spec.revisionHistoryLimit=10"#,
                #"+spec.template.spec.containers[0].imagePullPolicy="Always""#,
                #"+spec.template.spec.containers[0].resources={}"#,
                #"+spec.template.spec.containers[0].terminationMessagePath="/dev/termination-log""#,
                #"+spec.template.spec.containers[0].terminationMessagePolicy="File""#,
                #"+spec.template.spec.dnsPolicy="ClusterFirst""#,
                #"+spec.template.spec.restartPolicy="Always""#,
                #"+spec.template.spec.schedulerName="default-scheduler""#,
                #"+spec.template.spec.securityContext={}"#,
                #"+spec.template.spec.terminationGracePeriodSeconds=30"#,
                #"+spec.updateStrategy={"rollingUpdate":{"maxSurge":0,"maxUnavailable":1},"type":"RollingUpdate"}"#,
                #"+status={"currentNumberScheduled":0,"desiredNumberScheduled":0,"numberMisscheduled":0,"numberReady":0}"#,
            ]),
        Case(
            resource: "apps/v1/replicasets",
            sent: #"""
                {"apiVersion":"apps/v1","kind":"ReplicaSet","metadata":{"name":"rs"},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"image":"nginx","name":"c"}]}}}}
                """#,
            changes: [
                #"+spec.replicas=1"#,
                #"+spec.template.spec.containers[0].imagePullPolicy="Always""#,
                #"+spec.template.spec.containers[0].resources={}"#,
                #"+spec.template.spec.containers[0].terminationMessagePath="/dev/termination-log""#,
                #"+spec.template.spec.containers[0].terminationMessagePolicy="File""#,
                #"+spec.template.spec.dnsPolicy="ClusterFirst""#,
                #"+spec.template.spec.restartPolicy="Always""#,
                #"+spec.template.spec.schedulerName="default-scheduler""#,
                #"+spec.template.spec.securityContext={}"#,
                #"+spec.template.spec.terminationGracePeriodSeconds=30"#,
                #"+status={"replicas":0}"#,
            ]),
        Case(
            resource: "v1/replicationcontrollers",
            sent: #"""
                {"apiVersion":"v1","kind":"ReplicationController","metadata":{"name":"rc"},"spec":{"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"image":"nginx","name":"c"}]}}}}
                """#,
            changes: [
                #"+metadata.labels={"a":"b"}"#,
                #"+spec.replicas=1"#,
                #"+spec.selector={"a":"b"}"#,
                #"+spec.template.spec.containers[0].imagePullPolicy="Always""#,
                #"+spec.template.spec.containers[0].resources={}"#,
                #"+spec.template.spec.containers[0].terminationMessagePath="/dev/termination-log""#,
                #"+spec.template.spec.containers[0].terminationMessagePolicy="File""#,
                #"+spec.template.spec.dnsPolicy="ClusterFirst""#,
                #"+spec.template.spec.restartPolicy="Always""#,
                #"+spec.template.spec.schedulerName="default-scheduler""#,
                #"+spec.template.spec.securityContext={}"#,
                #"+spec.template.spec.terminationGracePeriodSeconds=30"#,
                #"+status={"replicas":0}"#,
            ]),
        Case(
            resource: "batch/v1/jobs",
            sent: #"""
                {"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"j"},"spec":{"template":{"spec":{"containers":[{"image":"nginx","name":"c"}],"restartPolicy":"Never"}}}}
                """#,
            changes: [
                #"+spec.backoffLimit=6"#,
                #"+spec.completionMode="NonIndexed""#,
                #"+spec.completions=1"#,
                #"+spec.manualSelector=false"#,
                #"+spec.parallelism=1"#,
                #"+spec.podReplacementPolicy="TerminatingOrFailed""#,
                #"+spec.suspend=false"#,
                #"+spec.template.spec.containers[0].imagePullPolicy="Always""#,
                #"+spec.template.spec.containers[0].resources={}"#,
                #"+spec.template.spec.containers[0].terminationMessagePath="/dev/termination-log""#,
                #"+spec.template.spec.containers[0].terminationMessagePolicy="File""#,
                #"+spec.template.spec.dnsPolicy="ClusterFirst""#,
                #"+spec.template.spec.schedulerName="default-scheduler""#,
                #"+spec.template.spec.securityContext={}"#,
                #"+spec.template.spec.terminationGracePeriodSeconds=30"#,
                #"+status={}"#,
                #"+spec.template.metadata={}"#,
            ]),
        Case(
            resource: "batch/v1/cronjobs",
            sent: #"""
                {"apiVersion":"batch/v1","kind":"CronJob","metadata":{"name":"cj"},"spec":{"jobTemplate":{"spec":{"template":{"spec":{"containers":[{"image":"nginx","name":"c"}],"restartPolicy":"OnFailure"}}}},"schedule":"* * * * *"}}
                """#,
            changes: [
                #"+spec.concurrencyPolicy="Allow""#,
                #"+spec.failedJobsHistoryLimit=1"#,
                #"+spec.jobTemplate.metadata={}"#,
                #"+spec.jobTemplate.spec.template.metadata={}"#,
                #"+spec.jobTemplate.spec.template.spec.containers[0].imagePullPolicy="Always""#,
                #"+spec.jobTemplate.spec.template.spec.containers[0].resources={}"#,
                #"+spec.jobTemplate.spec.template.spec.containers[0].terminationMessagePath="/dev/termination-log""#,
                #"+spec.jobTemplate.spec.template.spec.containers[0].terminationMessagePolicy="File""#,
                #"+spec.jobTemplate.spec.template.spec.dnsPolicy="ClusterFirst""#,
                #"+spec.jobTemplate.spec.template.spec.schedulerName="default-scheduler""#,
                #"+spec.jobTemplate.spec.template.spec.securityContext={}"#,
                #"+spec.jobTemplate.spec.template.spec.terminationGracePeriodSeconds=30"#,
                #"+spec.successfulJobsHistoryLimit=3"#,
                #"+spec.suspend=false"#,
                #"+status={}"#,
            ]),
        Case(
            resource: "v1/services",
            sent: #"""
                {"apiVersion":"v1","kind":"Service","metadata":{"name":"cip"},"spec":{"clusterIP":"10.96.77.7","ports":[{"port":80}]}}
                """#,
            changes: [
                #"+spec.internalTrafficPolicy="Cluster""#,
                #"+spec.ports[0].protocol="TCP""#,
                #"+spec.ports[0].targetPort=80"#,
                #"+spec.sessionAffinity="None""#,
                #"+spec.type="ClusterIP""#,
                #"+status={"loadBalancer":{}}"#,
            ]),
        Case(
            resource: "v1/services",
            sent: #"""
                {"apiVersion":"v1","kind":"Service","metadata":{"name":"np"},"spec":{"clusterIP":"10.96.77.8","ports":[{"nodePort":30777,"port":80}],"selector":{"a":"b"},"type":"NodePort"}}
                """#,
            changes: [
                #"+spec.externalTrafficPolicy="Cluster""#,
                #"+spec.internalTrafficPolicy="Cluster""#,
                #"+spec.ports[0].protocol="TCP""#,
                #"+spec.ports[0].targetPort=80"#,
                #"+spec.sessionAffinity="None""#,
                #"+status={"loadBalancer":{}}"#,
            ]),
        Case(
            resource: "v1/services",
            sent: #"""
                {"apiVersion":"v1","kind":"Service","metadata":{"name":"lb"},"spec":{"clusterIP":"10.96.77.9","ports":[{"nodePort":30778,"port":80}],"type":"LoadBalancer"}}
                """#,
            changes: [
                #"+spec.allocateLoadBalancerNodePorts=true"#,
                #"+spec.externalTrafficPolicy="Cluster""#,
                #"+spec.internalTrafficPolicy="Cluster""#,
                #"+spec.ports[0].protocol="TCP""#,
                #"+spec.ports[0].targetPort=80"#,
                #"+spec.sessionAffinity="None""#,
                #"+status={"loadBalancer":{}}"#,
            ]),
        Case(
            resource: "v1/services",
            sent: #"""
                {"apiVersion":"v1","kind":"Service","metadata":{"name":"hl"},"spec":{"clusterIP":"None","ports":[{"name":"a","port":80}]}}
                """#,
            changes: [
                #"+spec.internalTrafficPolicy="Cluster""#,
                #"+spec.ports[0].protocol="TCP""#,
                #"+spec.ports[0].targetPort=80"#,
                #"+spec.sessionAffinity="None""#,
                #"+spec.type="ClusterIP""#,
                #"+status={"loadBalancer":{}}"#,
            ]),
        Case(
            resource: "v1/services",
            sent: #"""
                {"apiVersion":"v1","kind":"Service","metadata":{"name":"en"},"spec":{"externalName":"x.example","type":"ExternalName"}}
                """#,
            changes: [
                #"+spec.sessionAffinity="None""#,
                #"+status={"loadBalancer":{}}"#,
            ]),
        Case(
            resource: "v1/configmaps",
            sent: #"""
                {"apiVersion":"v1","data":{"a":"b"},"kind":"ConfigMap","metadata":{"name":"cm"}}
                """#,
            changes: []),
        Case(
            resource: "v1/secrets",
            sent: #"""
                {"apiVersion":"v1","kind":"Secret","metadata":{"name":"se"},"stringData":{"a":"b"}}
                """#,
            changes: [
                #"+data={"a":"Yg=="}"#,
                #"-stringData"#,
                #"+type="Opaque""#,
            ]),
        Case(
            resource: "v1/serviceaccounts",
            sent: #"""
                {"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"sa"}}
                """#,
            changes: []),
        Case(
            resource: "v1/persistentvolumeclaims",
            sent: #"""
                {"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"name":"pvc"},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}}
                """#,
            changes: [
                #"+spec.volumeMode="Filesystem""#,
                #"+status={"phase":"Pending"}"#,
            ]),
        Case(
            resource: "v1/persistentvolumes",
            sent: #"""
                {"apiVersion":"v1","kind":"PersistentVolume","metadata":{"name":"pv"},"spec":{"accessModes":["ReadWriteOnce"],"capacity":{"storage":"1Gi"},"hostPath":{"path":"/x"}}}
                """#,
            changes: [
                #"+spec.hostPath.type="""#,
                #"+spec.persistentVolumeReclaimPolicy="Retain""#,
                #"+spec.volumeMode="Filesystem""#,
                #"+status={"phase":"Pending"}"#,
            ]),
        Case(
            resource: "storage.k8s.io/v1/storageclasses",
            sent: #"""
                {"apiVersion":"storage.k8s.io/v1","kind":"StorageClass","metadata":{"name":"sc"},"provisioner":"p"}
                """#,
            changes: [
                #"+reclaimPolicy="Delete""#,
                #"+volumeBindingMode="Immediate""#,
            ]),
        Case(
            resource: "storage.k8s.io/v1/csidrivers",
            sent: #"""
                {"apiVersion":"storage.k8s.io/v1","kind":"CSIDriver","metadata":{"name":"drv"},"spec":{}}
                """#,
            changes: [
                #"+spec.attachRequired=true"#,
                #"+spec.fsGroupPolicy="ReadWriteOnceWithFSType""#,
                #"+spec.podInfoOnMount=false"#,
                #"+spec.requiresRepublish=false"#,
                #"+spec.seLinuxMount=false"#,
                #"+spec.storageCapacity=false"#,
                #"+spec.volumeLifecycleModes=["Persistent"]"#,
            ]),
        Case(
            resource: "networking.k8s.io/v1/networkpolicies",
            sent: #"""
                {"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","metadata":{"name":"np"},"spec":{"ingress":[{"ports":[{"port":80}]}],"podSelector":{}}}
                """#,
            changes: [
                #"+spec.ingress[0].ports[0].protocol="TCP""#,
                #"+spec.policyTypes=["Ingress"]"#,
            ]),
        Case(
            resource: "networking.k8s.io/v1/ingresses",
            sent: #"""
                {"apiVersion":"networking.k8s.io/v1","kind":"Ingress","metadata":{"name":"in"},"spec":{"defaultBackend":{"service":{"name":"x","port":{"number":80}}}}}
                """#,
            changes: [
                #"+status={"loadBalancer":{}}"#
            ]),
        Case(
            resource: "networking.k8s.io/v1/ingressclasses",
            sent: #"""
                {"apiVersion":"networking.k8s.io/v1","kind":"IngressClass","metadata":{"name":"ic"},"spec":{"controller":"a.b/c","parameters":{"apiGroup":"x.y","kind":"K","name":"n"}}}
                """#,
            changes: [
                #"+spec.parameters.scope="Cluster""#
            ]),
        Case(
            resource: "autoscaling/v2/horizontalpodautoscalers",
            sent: #"""
                {"apiVersion":"autoscaling/v2","kind":"HorizontalPodAutoscaler","metadata":{"name":"h"},"spec":{"maxReplicas":3,"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"d"}}}
                """#,
            changes: [
                #"+spec.metrics=[{"resource":{"name":"cpu","target":{"averageUtilization":80,"type":"Utilization"}},"type":"Resource"}]"#,
                #"+spec.minReplicas=1"#,
                #"+status={"currentMetrics":null,"desiredReplicas":0}"#,
            ]),
        Case(
            resource: "policy/v1/poddisruptionbudgets",
            sent: #"""
                {"apiVersion":"policy/v1","kind":"PodDisruptionBudget","metadata":{"name":"pdb"},"spec":{"minAvailable":1,"selector":{"matchLabels":{"a":"b"}}}}
                """#,
            changes: [
                #"+status={"currentHealthy":0,"desiredHealthy":0,"disruptionsAllowed":0,"expectedPods":0}"#
            ]),
        Case(
            resource: "rbac.authorization.k8s.io/v1/rolebindings",
            sent: #"""
                {"apiVersion":"rbac.authorization.k8s.io/v1","kind":"RoleBinding","metadata":{"name":"rb"},"roleRef":{"kind":"ClusterRole","name":"view"},"subjects":[{"kind":"User","name":"u"},{"kind":"ServiceAccount","name":"s","namespace":"default"}]}
                """#,
            changes: [
                #"+roleRef.apiGroup="rbac.authorization.k8s.io""#,
                #"+subjects[0].apiGroup="rbac.authorization.k8s.io""#,
            ]),
        Case(
            resource: "rbac.authorization.k8s.io/v1/clusterroles",
            sent: #"""
                {"aggregationRule":{"clusterRoleSelectors":[{"matchLabels":{"a":"b"}}]},"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"cr"}}
                """#,
            changes: [
                #"+rules=null"#
            ]),
        Case(
            resource: "scheduling.k8s.io/v1/priorityclasses",
            sent: #"""
                {"apiVersion":"scheduling.k8s.io/v1","kind":"PriorityClass","metadata":{"name":"pc"},"value":5}
                """#,
            changes: [
                #"+preemptionPolicy="PreemptLowerPriority""#
            ]),
        Case(
            resource: "node.k8s.io/v1/runtimeclasses",
            sent: #"""
                {"apiVersion":"node.k8s.io/v1","handler":"runc","kind":"RuntimeClass","metadata":{"name":"rc"}}
                """#,
            changes: []),
        Case(
            resource: "coordination.k8s.io/v1/leases",
            sent: #"""
                {"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"l"},"spec":{"holderIdentity":"x"}}
                """#,
            changes: []),
        Case(
            resource: "v1/nodes",
            sent: #"""
                {"apiVersion":"v1","kind":"Node","metadata":{"name":"nd"}}
                """#,
            changes: [
                #"+status={"daemonEndpoints":{"kubeletEndpoint":{"Port":0}},"nodeInfo":{"architecture":"","bootID":"","containerRuntimeVersion":"","kernelVersion":"","kubeProxyVersion":"","kubeletVersion":"","machineID":"","operatingSystem":"","osImage":"","systemUUID":""}}"#,
                #"+spec={}"#,
            ]),
        Case(
            resource: "v1/namespaces",
            sent: #"""
                {"apiVersion":"v1","kind":"Namespace","metadata":{"name":"ns"}}
                """#,
            changes: [
                #"+metadata.labels={"kubernetes.io/metadata.name":"ns"}"#,
                #"+status={"phase":"Active"}"#,
                #"+spec={}"#,
            ]),
        Case(
            resource: "v1/limitranges",
            sent: #"""
                {"apiVersion":"v1","kind":"LimitRange","metadata":{"name":"lr"},"spec":{"limits":[{"default":{"cpu":"1"},"max":{"memory":"1Gi"},"type":"Container"}]}}
                """#,
            changes: [
                #"+spec.limits[0].default.memory="1Gi""#,
                #"+spec.limits[0].defaultRequest={"cpu":"1","memory":"1Gi"}"#,
            ]),
        Case(
            resource: "v1/resourcequotas",
            sent: #"""
                {"apiVersion":"v1","kind":"ResourceQuota","metadata":{"name":"rq"},"spec":{"hard":{"pods":"5"}}}
                """#,
            changes: [
                #"+status={}"#
            ]),
        Case(
            resource: "v1/endpoints",
            sent: #"""
                {"apiVersion":"v1","kind":"Endpoints","metadata":{"name":"ep"},"subsets":[{"addresses":[{"ip":"10.9.9.9"}],"ports":[{"port":80}]}]}
                """#,
            changes: [
                #"+subsets[0].ports[0].protocol="TCP""#
            ]),
        Case(
            resource: "discovery.k8s.io/v1/endpointslices",
            sent: #"""
                {"addressType":"IPv4","apiVersion":"discovery.k8s.io/v1","endpoints":[{"addresses":["10.9.9.9"]}],"kind":"EndpointSlice","metadata":{"name":"es"},"ports":[{"port":80}]}
                """#,
            changes: [
                #"+endpoints[0].conditions={}"#,
                #"+ports[0].name="""#,
                #"+ports[0].protocol="TCP""#,
            ]),
        Case(
            resource: "v1/events",
            sent: #"""
                {"apiVersion":"v1","involvedObject":{"kind":"Pod","name":"p","namespace":"default"},"kind":"Event","metadata":{"name":"ev"},"reason":"R","type":"Normal"}
                """#,
            changes: [
                #"+eventTime=null"#,
                #"+firstTimestamp=null"#,
                #"+lastTimestamp=null"#,
                #"+reportingComponent="""#,
                #"+reportingInstance="""#,
                #"+source={}"#,
            ]),
        Case(
            resource: "admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
            sent: #"""
                {"apiVersion":"admissionregistration.k8s.io/v1","kind":"ValidatingWebhookConfiguration","metadata":{"name":"vw"},"webhooks":[{"admissionReviewVersions":["v1"],"clientConfig":{"service":{"name":"x","namespace":"y"}},"name":"a.b.c","rules":[{"apiGroups":["x"],"apiVersions":["v1"],"operations":["*"],"resources":["y"]}],"sideEffects":"None"}]}
                """#,
            changes: [
                #"+webhooks[0].clientConfig.service.port=443"#,
                #"+webhooks[0].failurePolicy="Fail""#,
                #"+webhooks[0].matchPolicy="Equivalent""#,
                #"+webhooks[0].namespaceSelector={}"#,
                #"+webhooks[0].objectSelector={}"#,
                #"+webhooks[0].rules[0].scope="*""#,
                #"+webhooks[0].timeoutSeconds=10"#,
            ]),
        Case(
            resource: "admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
            sent: #"""
                {"apiVersion":"admissionregistration.k8s.io/v1","kind":"MutatingWebhookConfiguration","metadata":{"name":"mw"},"webhooks":[{"admissionReviewVersions":["v1"],"clientConfig":{"url":"https://x.example/y"},"name":"a.b.c","sideEffects":"None"}]}
                """#,
            changes: [
                #"+webhooks[0].failurePolicy="Fail""#,
                #"+webhooks[0].matchPolicy="Equivalent""#,
                #"+webhooks[0].namespaceSelector={}"#,
                #"+webhooks[0].objectSelector={}"#,
                #"+webhooks[0].reinvocationPolicy="Never""#,
                #"+webhooks[0].timeoutSeconds=10"#,
            ]),
        Case(
            resource: "admissionregistration.k8s.io/v1/validatingadmissionpolicies",
            sent: #"""
                {"apiVersion":"admissionregistration.k8s.io/v1","kind":"ValidatingAdmissionPolicy","metadata":{"name":"vap"},"spec":{"matchConstraints":{"resourceRules":[{"apiGroups":["apps"],"apiVersions":["v1"],"operations":["CREATE"],"resources":["deployments"]}]},"validations":[{"expression":"object.spec.replicas <= 5"}]}}
                """#,
            changes: [
                #"+spec.failurePolicy="Fail""#,
                #"+spec.matchConstraints.matchPolicy="Equivalent""#,
                #"+spec.matchConstraints.namespaceSelector={}"#,
                #"+spec.matchConstraints.objectSelector={}"#,
                #"+spec.matchConstraints.resourceRules[0].scope="*""#,
                #"+status={}"#,
            ]),
        Case(
            resource: "apiextensions.k8s.io/v1/customresourcedefinitions",
            sent: #"""
                {"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"foos.golden.example.org"},"spec":{"group":"golden.example.org","names":{"kind":"Foo","plural":"foos"},"scope":"Namespaced","versions":[{"name":"v1","schema":{"openAPIV3Schema":{"properties":{"spec":{"type":"object"}},"type":"object"}},"served":true,"storage":true}]}}
                """#,
            changes: [
                #"+spec.conversion={"strategy":"None"}"#,
                #"+spec.names.listKind="FooList""#,
                #"+spec.names.singular="foo""#,
            ]),
        Case(
            resource: "apiregistration.k8s.io/v1/apiservices",
            sent: #"""
                {"apiVersion":"apiregistration.k8s.io/v1","kind":"APIService","metadata":{"name":"v1.golden.example.org"},"spec":{"group":"golden.example.org","groupPriorityMinimum":1,"insecureSkipTLSVerify":true,"service":{"name":"x","namespace":"y"},"version":"v1","versionPriority":1}}
                """#,
            changes: [
                #"+spec.service.port=443"#,
                #"+status={}"#,
            ]),
        Case(
            resource: "flowcontrol.apiserver.k8s.io/v1/flowschemas",
            sent: #"""
                {"apiVersion":"flowcontrol.apiserver.k8s.io/v1","kind":"FlowSchema","metadata":{"name":"fs"},"spec":{"priorityLevelConfiguration":{"name":"global-default"},"rules":[{"nonResourceRules":[{"nonResourceURLs":["*"],"verbs":["*"]}],"subjects":[{"group":{"name":"g"},"kind":"Group"}]}]}}
                """#,
            changes: [
                #"+spec.matchingPrecedence=1000"#,
                #"+status={}"#,
            ]),
    ]
}
