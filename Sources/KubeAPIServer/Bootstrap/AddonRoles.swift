import KubeAPI

/// What nodes must read to know which add-ons they run, beside what their kubelets may.
enum AddonRoles {
    private static let namespaced = """
        kube-system/eks:pod-identity-agent
          read | core | serviceaccounts | eks-pod-identity-agent
        """

    static func roles() -> [Value] { BootstrapRoles.roles(namespaced).map(ours) }

    static func roleBindings() -> [Value] {
        [BootstrapBindings.roleBinding("eks:pod-identity-agent", namespace: "kube-system", role: "eks:pod-identity-agent", [.group("system:nodes")])]
            .map(ours)
    }

    private static func ours(_ object: Value) -> Value {
        var object = object
        object[path: "metadata", "labels"] = ["eks.amazonaws.com/component": "eks-pod-identity-agent"]
        return object
    }
}
