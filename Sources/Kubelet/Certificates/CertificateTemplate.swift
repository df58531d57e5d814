/// What a node asks a certificate for. Upstream: pkg/kubelet/certificate's templates and usages of client and server.
package struct CertificateTemplate: Sendable {
    /// What the log calls it, and its file.
    package var name: String
    package var signerName: String
    package var commonName: String
    package var organizations: [String] = []
    package var dnsNames: [String] = []
    package var ipAddresses: [String] = []
    /// Of a key that signs and does not encrypt. Upstream: certificates/v1 KeyUsage.
    package var usages: [String]

    /// The kubelet as a client of the API server.
    package static func kubeletClient(_ nodeName: String) -> CertificateTemplate {
        CertificateTemplate(
            name: "kubelet-client", signerName: "kubernetes.io/kube-apiserver-client-kubelet", commonName: "system:node:\(nodeName)",
            organizations: ["system:nodes"], usages: ["digital signature", "client auth"])
    }

    /// The kubelet's own server.
    package static func kubeletServing(_ nodeName: String, address: String) -> CertificateTemplate {
        CertificateTemplate(
            name: "kubelet-server", signerName: "kubernetes.io/kubelet-serving", commonName: "system:node:\(nodeName)",
            organizations: ["system:nodes"], dnsNames: [nodeName], ipAddresses: [address], usages: ["digital signature", "server auth"])
    }

    /// The service proxy, which renews its own.
    package static let kubeProxy = CertificateTemplate(
        name: "kube-proxy", signerName: "kubernetes.io/kube-apiserver-client", commonName: "system:kube-proxy",
        usages: ["digital signature", "client auth"])
}
