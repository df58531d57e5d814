import Certificates
import KubeAPI

/// Whether a user may do something as a signer. Upstream: certificates.IsAuthorizedForSignerName.
struct SignerAuthorization: Sendable {
    let authorizer: any Authorizer

    /// By the signer's own name, else by `DOMAIN/*`.
    func allows(_ user: UserInfo, _ verb: String, signer: String) -> Bool {
        var names = [signer]
        if let slash = signer.firstIndex(of: "/") { names.append("\(signer[..<slash])/*") }
        return names.contains { name in
            let asked = AuthorizationAttributes(
                user: user, verb: verb, apiGroup: "certificates.k8s.io", apiVersion: "*", resource: "signers", name: name)
            if case .allow = authorizer.authorize(asked) { return true }
            return false
        }
    }
}

/// Only who may approve for a signer approves its requests. Upstream: plugin/certificates/approval.
struct CertificateApproval: AdmissionPlugin {
    let name = "CertificateApproval"
    let signers: SignerAuthorization

    func validate(_ attributes: AdmissionAttributes) async throws {
        guard attributes.isFor(.certificateSigningRequests, .update, subresource: "approval") else { return }
        let signer = attributes.object[path: "spec", "signerName"]?.string ?? ""
        guard signers.allows(attributes.user, "approve", signer: signer) else {
            throw attributes.forbidden("user not permitted to approve requests with signerName \(signer.goQuoted)")
        }
    }
}

/// Only who may sign for a signer writes certificates. Upstream: plugin/certificates/signing.
struct CertificateSigning: AdmissionPlugin {
    let name = "CertificateSigning"
    let signers: SignerAuthorization

    func validate(_ attributes: AdmissionAttributes) async throws {
        guard attributes.isFor(.certificateSigningRequests, .update, subresource: "status"), let old = attributes.oldObject else { return }
        let status = attributes.object["status"]
        func conditions(_ value: Value?) -> [Value] { value?.array ?? [] }
        let isSame =
            status?["certificate"]?.string == old["status"]["certificate"].string
            && conditions(status?["conditions"]) == conditions(old["status"]["conditions"].value)
        guard !isSame else { return }
        let signer = old["spec"]["signerName"].string ?? ""
        guard signers.allows(attributes.user, "sign", signer: signer) else {
            throw attributes.forbidden("user not permitted to sign requests with signerName \(signer.goQuoted)")
        }
    }
}

/// Nobody gets a client certificate of `system:masters` by asking for it. Upstream: plugin/certificates/subjectrestriction.
struct CertificateSubjectRestriction: AdmissionPlugin {
    let name = "CertificateSubjectRestriction"
    static let clientSigner = "kubernetes.io/kube-apiserver-client"

    func validate(_ attributes: AdmissionAttributes) async throws {
        guard attributes.isFor(.certificateSigningRequests, .create),
            attributes.object[path: "spec", "signerName"]?.string == Self.clientSigner
        else { return }
        let request: SigningRequest
        do {
            let encoded = attributes.object[path: "spec", "request"]?.string ?? ""
            request = try SigningRequest(pem: String(decoding: Base64.decode(encoded) ?? [], as: UTF8.self))
        } catch {
            throw attributes.forbidden("failed to parse CSR: \(error)")
        }
        guard !request.organizations.contains(PrivilegedGroupsAuthorizer.masters) else {
            throw attributes.forbidden("use of \(Self.clientSigner) signer with \(PrivilegedGroupsAuthorizer.masters) group is not allowed")
        }
    }
}

/// Only who may attest for a signer publishes its trust bundle. Upstream: plugin/certificates/ctbattest.
struct ClusterTrustBundleAttest: AdmissionPlugin {
    let name = "ClusterTrustBundleAttest"
    let signers: SignerAuthorization
    private static let resource = GroupResource(group: "certificates.k8s.io", resource: "clustertrustbundles")

    func validate(_ attributes: AdmissionAttributes) async throws {
        guard attributes.isFor(Self.resource, .create, .update) else { return }
        let signer = attributes.object[path: "spec", "signerName"]?.string ?? ""
        guard !signer.isEmpty, !signers.allows(attributes.user, "attest", signer: signer) else { return }
        throw attributes.forbidden("user not permitted to attest for signerName \(signer.goQuoted)")
    }
}

/// A request for a certificate says who made it, whatever its author wrote. Upstream: certificates strategy's PrepareForCreate, which is not
/// admission; strategies here know no user.
struct CertificateRequester: AdmissionPlugin {
    let name = "CertificateRequester"

    func admit(_ attributes: inout AdmissionAttributes) async throws {
        guard attributes.isFor(.certificateSigningRequests, .create) else { return }
        let user = attributes.user
        func put(_ field: String, _ value: Value?) { attributes.object[path: "spec", field] = value }
        put("username", .string(user.name))
        put("uid", user.uid.isEmpty ? nil : .string(user.uid))
        put("groups", user.groups.isEmpty ? nil : Value(user.groups))
        let extra = user.extra.sorted { $0.key < $1.key }.map { ($0.key, Value($0.value)) }
        put("extra", extra.isEmpty ? nil : .object(Members(extra)))
    }
}
