import ControlPlane
import Glibc
import HTTPTransport
import KubeAPI
import KubeClient

/// A client of a cluster's API server as this service's administrator.
struct ClusterConnection {
    let client: KubeClient

    /// Throws `CLIError` when the cluster does not serve yet.
    init(_ cluster: JSONView?, directory: DataDirectory) throws {
        guard let credentials = directory.credentials(), let service = directory.service() else { throw CLIError.notServed(directory) }
        let name = cluster["name"].string ?? ""
        guard let endpoint = cluster["endpoint"].string, let authority = cluster["certificateAuthority"]["data"].string,
            let address = endpoint.split(separator: "/").last?.split(separator: ":"), address.count == 2, let port = Int(address[1])
        else {
            throw CLIError(
                what: "Cluster \"\(name)\" does not serve yet: it is \(cluster["status"].string ?? "unknown").", why: nil,
                fix: "aws eks wait cluster-active --name \(name)")
        }
        let transport = try NetworkTransport(
            .init(
                address: .tcp(host: String(address[0]), port: port),
                certificateAuthorityPEM: String(decoding: Base64.decode(authority), as: UTF8.self),
                credentials: .bearerToken { TokenCommand.token(credentials, service, cluster: name) }))
        client = KubeClient(transport: transport)
    }

    /// The data of the `aws-auth` ConfigMap; empty when there is none, or this service's administrator may not read it.
    func awsAuth() async throws -> [String: String] {
        do {
            let object = try await client.get(.configMaps, namespace: AWSAuthListing.namespace, name: AWSAuthListing.name)
            return object["data"].stringMap
        } catch let error as StatusError where error.isNotFound || error.code == 401 || error.code == 403 { return [:] }
    }

    /// Asks a create-only resource of a review group.
    func review(_ group: String, _ resource: String, _ kind: String, _ spec: Value) async throws -> JSONView? {
        let body: Value = ["apiVersion": .string("\(group)/v1"), "kind": .string(kind), "spec": spec]
        do {
            return try await client.create(GroupVersionResource(group: group, version: "v1", resource: resource), body)["status"]
        } catch let error as StatusError where error.code == 401 {
            throw CLIError(
                what: "The cluster does not let this service's administrator in.",
                why: "The IAM user that these credentials are has no access entry, and aws-auth does not name it.",
                fix: "eyrie access grant user/admin --policy ClusterAdmin")
        }
    }
}
