import Certificates
import KubeAPI

/// What the cluster's own signers ask of a request. The texts are upstream's and stand in the request's condition Failed. Upstream:
/// pkg/controller/certificates/signer and pkg/apis/certificates/helpers.go.
enum SignerRules {
    static let apiServerClient = "kubernetes.io/kube-apiserver-client"
    static let kubeletClient = "kubernetes.io/kube-apiserver-client-kubelet"
    static let kubeletServing = "kubernetes.io/kubelet-serving"
    static let legacyUnknown = "kubernetes.io/legacy-unknown"
    static let all: Set<String> = [apiServerClient, kubeletClient, kubeletServing, legacyUnknown]

    /// Nil: the signer may sign it.
    static func problem(_ request: SigningRequest, signer: String, usages: [String]) -> String? {
        switch signer {
        case apiServerClient: clientUsageProblem(usages)
        case kubeletClient: kubeletClientProblem(request, usages)
        case kubeletServing: kubeletServingProblem(request, usages)
        default: nil
        }
    }

    private static func clientUsageProblem(_ usages: [String]) -> String? {
        for usage in usages where !["digital signature", "key encipherment", "client auth"].contains(usage) {
            return "invalid usage for client certificate: \(usage)"
        }
        return usages.contains("client auth") ? nil : "missing required usage for client certificate: client auth"
    }

    static func kubeletClientProblem(_ request: SigningRequest, _ usages: [String]) -> String? {
        if request.organizations != ["system:nodes"] { return "subject organization is not system:nodes" }
        if !request.dnsNames.isEmpty { return "DNS subjectAltNames are not allowed" }
        if !request.emailAddresses.isEmpty { return "Email subjectAltNames are not allowed" }
        if !request.ipAddresses.isEmpty { return "IP subjectAltNames are not allowed" }
        if !request.uris.isEmpty { return "URI subjectAltNames are not allowed" }
        if !request.commonName.hasPrefix("system:node:") { return "subject common name does not begin with system:node:" }
        return usageProblem(usages, "client auth")
    }

    private static func kubeletServingProblem(_ request: SigningRequest, _ usages: [String]) -> String? {
        if request.organizations != ["system:nodes"] { return "subject organization is not system:nodes" }
        if request.dnsNames.isEmpty, request.ipAddresses.isEmpty { return "DNS or IP subjectAltName is required" }
        if !request.emailAddresses.isEmpty { return "Email subjectAltNames are not allowed" }
        if !request.uris.isEmpty { return "URI subjectAltNames are not allowed" }
        if let problem = usageProblem(usages, "server auth") { return problem }
        return request.commonName.hasPrefix("system:node:") ? nil : "subject common name does not begin with system:node:"
    }

    /// Exactly a signature, the purpose, and key encipherment unless the key is none of RSA.
    private static func usageProblem(_ usages: [String], _ purpose: String) -> String? {
        let asked = Set(usages)
        if asked == ["digital signature", purpose] || asked == ["digital signature", "key encipherment", purpose] { return nil }
        let required = [purpose, "digital signature", "key encipherment"].sorted()
        return "usages did not match [\(required.joined(separator: " "))]"
    }
}
