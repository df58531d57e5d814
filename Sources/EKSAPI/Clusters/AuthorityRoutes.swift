import AWSProtocol
import ClusterLifecycle

extension EKSAPI {
    static let authorityHandlers: [String: EKSHandler] = [
        "CreateCertificateAuthority": { call in
            try await call.service.createCertificateAuthority(call.required("clusterName"), token: call.token(now: call.service.now)).json
        },
        "ActivateCertificateAuthority": { call in
            try await call.service.activateCertificateAuthority(
                call.required("clusterName"), id: call.required("certificateAuthorityId"), token: call.token(now: call.service.now)
            ).json
        },
        "DeleteCertificateAuthority": { call in
            try await call.service.deleteCertificateAuthority(
                call.required("clusterName"), id: call.required("certificateAuthorityId"), token: call.token(now: call.service.now)
            ).json
        },
        "DescribeCertificateAuthority": { call in
            let found = try await call.service.describeCertificateAuthority(call.required("clusterName"), id: call.required("certificateAuthorityId"))
            return ["certificateAuthority": found.json]
        },
        "ListCertificateAuthorities": { call in
            let authorities = try await call.service.listCertificateAuthorities(call.required("clusterName"))
            // In the order of their making: pages go by names, and ids have none.
            let summaries = Dictionary(authorities.enumerated().map { ("\($0)/\($1.id)", $1.summary) }) { first, _ in first }
            return try call.page(Array(summaries.keys), as: "certificateAuthorities") { summaries[$0] ?? [:] }
        },
    ]
}

extension AuthorityChange {
    fileprivate var json: AWSJSON { .compact(["update": update.json, "certificateAuthority": authority?.summary]) }
}

extension ClusterAuthority {
    /// Upstream: eks CertificateAuthoritySummary.
    fileprivate var members: [String: AWSJSON?] {
        [
            "id": .string(id), "createdAt": .double(createdAt), "createdBy": .string(createdBy.rawValue),
            "activatedAt": activatedAt.map(AWSJSON.double),
            "activatedBy": activatedBy.map { .string($0.rawValue) }, "signingStatus": .string(signingStatus.rawValue),
            "distributionStatus": .string(distributionStatus.rawValue),
        ]
    }

    fileprivate var summary: AWSJSON { .compact(members) }
}

extension AuthorityDescription {
    /// Upstream: eks CertificateAuthority.
    fileprivate var json: AWSJSON {
        var members = authority.members
        members["data"] = authority.certificateData.map(AWSJSON.string)
        members["rollbackAvailable"] = .bool(canRollBack)
        if let notBefore, let notAfter { members["validity"] = ["notBefore": .double(notBefore), "notAfter": .double(notAfter)] }
        if let firstAutoActivation, let finalAutoActivation {
            members["scheduledEvents"] = ["firstAutoActivation": .double(firstAutoActivation), "finalAutoActivation": .double(finalAutoActivation)]
        }
        return .compact(members)
    }
}
