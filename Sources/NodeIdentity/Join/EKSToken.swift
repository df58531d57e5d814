import AWSProtocol

/// The bearer token by which an AWS identity shows itself to a cluster: a presigned GetCallerIdentity URL. Upstream: `aws eks get-token`,
/// aws-iam-authenticator token.
package enum EKSToken {
    private static let prefix = "k8s-aws-v1."
    /// Seconds; the cluster takes it for a quarter of an hour from its date, whatever stands here.
    private static let expires = 60

    /// A token for `cluster`. `endpoint` is the URL of the service, `time` in seconds since 1970.
    package static func make(_ keys: AWSKeys, endpoint: String, region: String, cluster: String, time: Double) -> String {
        let host = endpoint.split(separator: "/").last.map(String.init) ?? ""
        let signer = RequestSigner(
            accessKeyID: keys.accessKeyID, secretAccessKey: keys.secretAccessKey, sessionToken: keys.sessionToken, region: region, service: "sts")
        let target = signer.presign(
            target: "/?Action=GetCallerIdentity&Version=2011-06-15", host: host, headers: [(name: "x-k8s-aws-id", value: cluster)],
            expires: expires, time: time)
        return prefix + Base64URL.encode(Array("https://\(host)\(target)".utf8))
    }
}
