internal import AWSProtocol
internal import AWSServices
package import ClusterLifecycle

/// The keys of the clusters' OIDC issuers, for AssumeRoleWithWebIdentity: taken from the clusters themselves, not over the network.
package struct ClusterIssuers: WebIdentityKeySource {
    private let service: EKSService

    package init(service: EKSService) { self.service = service }

    package func keySet(ofIssuer url: String) async -> [UInt8]? {
        guard let id = url.split(separator: "/").last, let documents = await service.issuerDocuments(id: String(id)),
            let configuration = try? AWSJSON(parsing: documents.configuration), configuration["issuer"]?.stringValue == url
        else { return nil }
        return documents.keys
    }
}
