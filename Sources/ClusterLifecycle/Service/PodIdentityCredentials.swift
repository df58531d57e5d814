import AWSProtocol
package import AWSServices

/// Who holds a service account's token, as the cluster that issued it says.
package struct ServiceAccountIdentity: Sendable, Equatable {
    package var namespace: String
    package var name: String
    /// The pod it was made for; nil for a token bound to none.
    package var podName: String?
    package var podUID: String?

    package init(namespace: String, name: String, podName: String? = nil, podUID: String? = nil) {
        self.namespace = namespace
        self.name = name
        self.podName = podName
        self.podUID = podUID
    }
}

/// Why a cluster does not take a service account's token.
package enum ServiceAccountTokenFault: Error, Sendable, Equatable {
    /// Malformed, of another issuer, for other audiences, or of a pod or account that is gone.
    case invalid
    case expired
}

/// Credentials for one pod. Upstream: eks-auth AssumeRoleForPodIdentityResponse.
package struct PodCredentials: Sendable {
    package var subject: ServiceAccountIdentity
    package var audience: String
    package var association: PodIdentityRecord
    package var credentials: RoleCredentials
}

extension EKSService {
    /// The audience of tokens that are exchanged for credentials.
    static let podIdentityAudience = "pods.eks.amazonaws.com"
    /// Seconds that a pod's credentials live. Upstream: EKS User Guide, "Credentials are valid for 6 hours".
    private static let podCredentialLifetime = 21_600

    /// Credentials of the role that is associated with the service account of a pod's token. Upstream: eks-auth AssumeRoleForPodIdentity. Throws
    /// InvalidTokenException, ExpiredTokenException, AccessDeniedException, InvalidRequestException, ResourceNotFoundException.
    package func podCredentials(cluster name: String, token: String) async throws -> PodCredentials {
        let cluster = try await state.read { try $0.cluster(name) }
        let subject: ServiceAccountIdentity
        do {
            subject = try await controlPlanes.serviceAccount(
                ofToken: token, audience: EKSService.podIdentityAudience, cluster: cluster.name)
        } catch ServiceAccountTokenFault.expired {
            throw AWSError("ExpiredTokenException", "The service account token is expired", status: 400)
        } catch ServiceAccountTokenFault.invalid {
            throw AWSError(
                "InvalidTokenException", "The service account token is not one of cluster \(name) for the audience \(EKSService.podIdentityAudience)",
                status: 400)
        }
        guard let pod = subject.podName, let podUID = subject.podUID else {
            throw AWSError("InvalidTokenException", "The service account token is not bound to a pod", status: 400)
        }
        guard let association = await state.read({ $0.podIdentity(name, subject.namespace, subject.name) }) else {
            throw EKSFault.notFound("No association found for service account \(subject.namespace)/\(subject.name) in cluster \(name)")
        }
        var session = ServiceSession(
            roleARN: association.roleARN, service: PodIdentityRequirements.service, sessionName: EKSService.sessionName(cluster: name, pod: pod),
            duration: EKSService.podCredentialLifetime, sourceARN: cluster.arn)
        if !(association.disableSessionTags ?? false) {
            session.tags = [
                "eks-cluster-arn": cluster.arn, "eks-cluster-name": name, "kubernetes-namespace": subject.namespace,
                "kubernetes-service-account": subject.name, "kubernetes-pod-name": pod, "kubernetes-pod-uid": podUID,
            ]
        }
        session.targetRoleARN = association.targetRoleARN
        session.externalID = association.externalID
        session.policy = association.policy
        do {
            let credentials = try await identities.credentials(for: session)
            return PodCredentials(subject: subject, audience: EKSService.podIdentityAudience, association: association, credentials: credentials)
        } catch let denial as AccessDenial {
            throw AWSError(
                "AccessDeniedException", "Unauthorized Exception! EKS does not have permissions to assume the associated role: \(denial.message)",
                status: 400)
        }
    }

    /// `eks-CLUSTER-POD-UUID`, within the 64 characters that STS gives it. Upstream: eks-auth AssumedRoleUser.assumeRoleId.
    static func sessionName(cluster: String, pod: String) -> String {
        let allowed = pod.filter { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == ".") }
        return "eks-\(cluster.prefix(10))-\(allowed.prefix(11))-\(AWSIdentifier.uuid())"
    }
}
