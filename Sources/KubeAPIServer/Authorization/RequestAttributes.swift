extension RequestInfo {
    /// What the authorisers are asked of the request. Upstream: endpoints/filters.GetAuthorizerAttributes.
    func attributes(_ user: UserInfo) -> AuthorizationAttributes {
        var attributes = AuthorizationAttributes(
            user: user, verb: authorizationVerb, apiGroup: apiGroup, apiVersion: apiVersion, resource: resource, subresource: subresource,
            namespace: namespace,
            name: name, isResourceRequest: isResourceRequest, path: path)
        attributes.fieldSelector = fieldSelector
        attributes.labelSelector = labelSelector
        return attributes
    }

    /// Exec, attach and port-forward do the same whether they are opened by GET (WebSocket) or POST (SPDY), so both need `create`: a right to read
    /// pods must not run commands in them. Upstream: AuthorizePodWebsocketUpgradeCreatePermission.
    private var authorizationVerb: String {
        verb == "get" && resource == "pods" && apiGroup.isEmpty && ["exec", "attach", "portforward"].contains(subresource) ? "create" : verb
    }
}
