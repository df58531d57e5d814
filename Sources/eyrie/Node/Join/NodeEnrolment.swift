import AWSProtocol
import HTTPTransport
import KubeAPI
import KubeClient
import Kubelet
import NodeIdentity

/// How a host without an instance proves who it is: to the service by AWS credentials, to the cluster by a token made of them, and from then on by a
/// certificate. Every step throws `JoinProblem` for what its user can mend. Upstream: nodeadm init, and the kubelet's TLS bootstrap.
struct NodeEnrolment {
    let endpoint: String
    let region: String
    /// Certificates in PEM by which the service is known; nil: the system's.
    let rootsPEM: String?

    private static let stsVersion = "2011-06-15"
    /// Controllers approve and sign within a moment.
    private static let patience = Duration.seconds(60)

    /// Whose certificates a node has.
    struct Certificates {
        var client: TLSIdentity
        var server: TLSIdentity
        var proxy: TLSIdentity
    }

    // MARK: The service

    /// Keys of a session of `role`.
    func assume(_ role: String, session: String, with keys: AWSKeys) async throws -> AWSKeys {
        let parameters = [("RoleArn", role), ("RoleSessionName", session)]
        let answer = try await ask(keys, { JoinProblem.assumeRole(role, code: $0.code, message: $0.message) }) {
            try await $0.query("sts", Self.stsVersion, "AssumeRole", parameters)
        }
        guard let id = ServiceClient.xml("AccessKeyId", in: answer).first, let secret = ServiceClient.xml("SecretAccessKey", in: answer).first else {
            throw JoinProblem("The service's answer to AssumeRole holds no credentials.")
        }
        return AWSKeys(accessKeyID: id, secretAccessKey: secret, sessionToken: ServiceClient.xml("SessionToken", in: answer).first)
    }

    /// The ARN of whoever `keys` are, for a message.
    private func principal(_ keys: AWSKeys) async -> String {
        // Where it cannot be told, the message goes without.
        let answer = try? await ask(keys, { JoinProblem("\($0)") }) { try await $0.query("sts", Self.stsVersion, "GetCallerIdentity") }
        return answer.flatMap { ServiceClient.xml("Arn", in: $0).first } ?? "Whoever these credentials are"
    }

    func describe(_ cluster: String, _ keys: AWSKeys) async throws -> JoinableCluster {
        let answer = try await ask(keys, { JoinProblem.describe(cluster, code: $0.code, message: $0.message) }) {
            try await $0.eks("GET", "/clusters/\(PercentEncoding.encode(cluster))")["cluster"]
        }
        return try JoinableCluster(answer)
    }

    private func ask<R>(
        _ keys: AWSKeys, _ explain: (ServiceClient.Refused) -> JoinProblem, _ call: (ServiceClient) async throws -> R
    ) async throws -> R {
        let client = try ServiceClient(endpoint: endpoint, region: region, keys: keys, rootsPEM: rootsPEM)
        do {
            let answer = try await call(client)
            await client.close()
            return answer
        } catch {
            await client.close()
            switch error {
            case let refused as ServiceClient.Refused: throw explain(refused)
            case let failure as HTTPError: throw unreachable(failure)
            default: throw error
            }
        }
    }

    private func unreachable(_ failure: HTTPError) -> JoinProblem {
        if case .tls = failure {
            return JoinProblem(
                "The service at \(endpoint) is not believed.", why: "\(failure)",
                fix: "--ca FILE, with the file ca.pem of the service's data directory; and compare the clocks: date -u")
        }
        return JoinProblem(
            "The service at \(endpoint) cannot be reached.", why: "\(failure)",
            fix: "check the route to it, and that it listens there: eyrie serve --listen ADDRESS:PORT")
    }

    // MARK: The cluster

    /// The name of the node that the bearer of a token of `keys` is in the cluster.
    func nodeName(_ cluster: JoinableCluster, _ keys: AWSKeys) async throws -> String {
        let reviews = GroupVersionResource(group: "authentication.k8s.io", version: "v1", resource: "selfsubjectreviews")
        let review: Value = ["apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"]
        do {
            let user = try await client(cluster, .bearerToken { token(cluster.name, keys) }).create(reviews, review)["status"]["userInfo"]
            return try JoinOptions.node(ofUser: user["username"].string ?? "", groups: user["groups"].strings, cluster: cluster.name)
        } catch let error as StatusError {
            throw JoinProblem.apiServer(cluster.name, code: error.code, message: error.message, principal: await principal(keys))
        } catch let failure as HTTPError {
            throw JoinProblem.unreachable("\(cluster.apiServerHost):\(cluster.apiServerPort)", why: "\(failure)")
        }
    }

    /// The node's certificates: as a client by the token, and the others as the node itself.
    func certificates(_ cluster: JoinableCluster, _ keys: AWSKeys, nodeName: String, address: String) async throws -> Certificates {
        let bearer = try client(cluster, .bearerToken { token(cluster.name, keys) })
        let client = try await certify(.kubeletClient(nodeName), bearer, cluster)
        let node = try self.client(cluster, .clientCertificate(client))
        let server = try await certify(.kubeletServing(nodeName, address: address), node, cluster)
        let proxy = try await certify(.kubeProxy, node, cluster)
        return Certificates(client: client, server: server, proxy: proxy)
    }

    private func certify(_ template: CertificateTemplate, _ client: KubeClient, _ cluster: JoinableCluster) async throws -> TLSIdentity {
        do { return try await CertificateRequester(client: client, patience: Self.patience).certify(template) } catch let refused
            as CertificateRequester.NotIssued
        {
            throw JoinProblem(
                "The cluster gives this node no certificate as \(template.name).", why: "\(refused)",
                fix: "kubectl get certificatesigningrequests, and kubectl certificate approve NAME where it is as it should be")
        } catch let error as StatusError {
            throw JoinProblem.apiServer(cluster.name, code: error.code, message: error.message, principal: template.commonName)
        } catch let failure as HTTPError {
            throw JoinProblem.unreachable("\(cluster.apiServerHost):\(cluster.apiServerPort)", why: "\(failure)")
        }
    }

    func token(_ cluster: String, _ keys: AWSKeys) -> String {
        EKSToken.make(keys, endpoint: endpoint, region: region, cluster: cluster, time: Double(Timestamp.now.microseconds) / 1_000_000)
    }

    private func client(_ cluster: JoinableCluster, _ credentials: NetworkTransport.Credentials) throws -> KubeClient {
        KubeClient(
            transport: try NetworkTransport(
                .init(
                    address: .tcp(host: cluster.apiServerHost, port: cluster.apiServerPort), certificateAuthorityPEM: cluster.authoritiesPEM,
                    credentials: credentials, userAgent: "kubelet")))
    }
}
