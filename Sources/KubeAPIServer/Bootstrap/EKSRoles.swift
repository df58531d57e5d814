import KubeAPI

/// What EKS adds to RBAC for its nodes. A node's identity comes from its IAM role: user `system:node:NAME` in `system:nodes` and
/// `system:bootstrappers`.
enum EKSRoles {
    private static let text = """
        eks:node-bootstrapper
          create | certificates.k8s.io | certificatesigningrequests,certificatesigningrequests/selfnodeclient,certificatesigningrequests/selfnodeserver
        eks:certificate-renewal
          read,create | certificates.k8s.io | certificatesigningrequests
        eks:certificate-controller
          get,list,watch | certificates.k8s.io | certificatesigningrequests
          update | certificates.k8s.io | certificatesigningrequests/approval
          approve | certificates.k8s.io | signers | kubernetes.io/kube-apiserver-client,kubernetes.io/kubelet-serving
        eks:cloud-controller-manager
          create,patch,update | core,events.k8s.io | events
          delete,get,list,patch,update,watch | core | nodes
          patch,update | core | nodes/status
          get,list,patch,update,watch | core | services
          patch,update | core | services/status
          get,list,patch,update,watch | networking.k8s.io | ingresses
          patch,update | networking.k8s.io | ingresses/status
        eks:node-manager
          delete,get,list,patch,watch | core | nodes
          get,list,watch | core | pods
          create | core | pods/eviction
        eks:fargate-scheduler
          create,patch,update | core,events.k8s.io | events
          get,list,watch | core | pods
          create | core | pods/binding
          patch,update | core | pods/status
        eks:fargate-manager
          delete,get,list,watch | core | pods
        eks:compute
          create,get,patch,update | apiextensions.k8s.io | customresourcedefinitions
          create,delete,get,list,patch,update,watch | karpenter.sh | nodeclaims,nodepools
          get,patch,update | karpenter.sh | nodeclaims/status,nodepools/status
          create,delete,get,list,patch,update,watch | eks.amazonaws.com | nodeclasses
          get,patch,update | eks.amazonaws.com | nodeclasses/status
          delete,get,list,patch,watch | core | nodes
          delete,get,list,watch | core | pods
          create | core | pods/eviction
          create,patch,update | core,events.k8s.io | events
        eyrie:simulated-nodes
          create,get | core | nodes
          patch | core | nodes/status
          delete,get | core | pods
          patch | core | pods/status
          create,delete,get,patch | coordination.k8s.io | leases
        system:coredns
          list,watch | core | endpoints,services,pods,namespaces
          list,watch | discovery.k8s.io | endpointslices
        eks:network-policies
          list,watch | core | namespaces,pods
          list,watch | networking.k8s.io | networkpolicies
        """

    static func clusterRoles() -> [Value] { BootstrapRoles.parse(text).map(BootstrapRoles.clusterRole).map(ours) }

    static func clusterRoleBindings() -> [Value] {
        // The nodes' proxy, DNS and policies are one identity: they are one part of one agent.
        let network = BootstrapBindings.Subject.user("system:kube-proxy")
        return [
            BootstrapBindings.clusterRoleBinding("eks:addon-cluster-admin", role: "cluster-admin", [.user("eks:addon-manager")]),
            BootstrapBindings.clusterRoleBinding(
                "system:coredns", role: "system:coredns", [.serviceAccount(namespace: "kube-system", name: "coredns"), network]),
            BootstrapBindings.clusterRoleBinding("eks:network-policies", role: "eks:network-policies", [network]),
            BootstrapBindings.clusterRoleBinding(
                "eks:cloud-controller-manager", role: "eks:cloud-controller-manager", [.user("eks:cloud-controller-manager")]),
            BootstrapBindings.clusterRoleBinding("eks:fargate-scheduler", role: "eks:fargate-scheduler", [.user("eks:fargate-scheduler")]),
            BootstrapBindings.clusterRoleBinding("eks:fargate-manager", role: "eks:fargate-manager", [.user("eks:fargate-manager")]),
            BootstrapBindings.clusterRoleBinding("eks:compute", role: "eks:compute", [.user("eks:compute")]),
            BootstrapBindings.clusterRoleBinding("eyrie:simulated-nodes", role: "eyrie:simulated-nodes", [.user("eyrie:simulated-nodes")]),
            BootstrapBindings.clusterRoleBinding("eks:certificate-renewal", role: "eks:certificate-renewal", [network]),
            BootstrapBindings.clusterRoleBinding(
                "eks:certificate-controller", role: "eks:certificate-controller", [.user("eks:certificate-controller")]),
            BootstrapBindings.clusterRoleBinding("eks:node-manager", role: "eks:node-manager", [.user("eks:node-manager")]),
            BootstrapBindings.clusterRoleBinding(
                "eks:node-bootstrapper", role: "eks:node-bootstrapper", [.group("system:bootstrappers"), .group("system:nodes")]),
            BootstrapBindings.clusterRoleBinding(
                "eks:kube-proxy", role: "system:node-proxier",
                [.serviceAccount(namespace: "kube-system", name: "kube-proxy"), .group("system:node-proxier")]),
        ].map(ours)
    }

    /// Who reads and writes the `aws-auth` ConfigMap, and who reads whether there is a service proxy, and the settings of DNS and network policies.
    private static let namespaced = """
        kube-system/eks:authenticator
          read | core | configmaps | aws-auth
        kube-system/eks:kube-proxy
          read | core | configmaps | amazon-vpc-cni,coredns,kube-proxy-config
        kube-system/eks:node-manager
          create | core | configmaps
          get,patch,update | core | configmaps | aws-auth
        """

    static func roles() -> [Value] { BootstrapRoles.roles(namespaced).map(ours) }

    static func roleBindings() -> [Value] {
        [("eks:authenticator", "eks:authenticator"), ("eks:node-manager", "eks:node-manager"), ("eks:kube-proxy", "system:kube-proxy")].map {
            ours(BootstrapBindings.roleBinding($0.0, namespace: "kube-system", role: $0.0, [.user($0.1)]))
        }
    }

    private static func ours(_ object: Value) -> Value {
        var object = object
        object[path: "metadata", "labels"] = ["eks.amazonaws.com/component": "node"]
        return object
    }
}
