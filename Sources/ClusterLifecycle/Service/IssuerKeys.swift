extension EKSService {
    /// The public documents of the issuer that ends in a cluster's id; nil for an unknown one, and while its control plane does not run.
    package func issuerDocuments(id: String) async -> IssuerDocuments? {
        guard let name = await state.read({ tables in tables.clusters.values.first { $0.id == id }?.name }) else { return nil }
        return await controlPlanes.issuerDocuments(name)
    }

    /// The keys of an issuer by its URL, as tokens and IAM's OIDC providers name it; nil for one that is none of this service's clusters'.
    package func issuerKeys(issuer: String) async -> [UInt8]? {
        guard let name = await state.read({ tables in tables.clusters.values.first { $0.endpoint?.oidcIssuer == issuer }?.name }) else { return nil }
        return await controlPlanes.issuerDocuments(name)?.keys
    }
}
