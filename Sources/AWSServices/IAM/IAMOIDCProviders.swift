import AWSProtocol

extension IAMTables {
    /// The provider `arn`. Throws NoSuchEntity in IAM's words.
    func oidcProvider(_ arn: String) throws(AWSError) -> OIDCProviderRecord {
        guard let provider = oidcProviders[arn] else { throw IAMFault.missing("OpenIDConnect Provider not found for arn \(arn)") }
        return provider
    }
}

extension IAMCall {
    /// The issuer's URL without scheme and trailing slash. Throws ValidationError.
    fileprivate func issuer() throws(AWSError) -> String {
        let url = try required("Url", longest: 255)
        let rest = url.dropFirst(8)
        guard url.hasPrefix("https://"), let host = rest.split(separator: "/").first, !host.isEmpty,
            rest.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != 0x3F && $0 != 0x23 && $0 != 0x40 })
        else { throw IAMFault.invalid("Invalid Open ID Connect Provider URL") }
        return rest.hasSuffix("/") ? String(rest.dropLast()) : String(rest)
    }

    /// Throws ValidationError, LimitExceeded.
    fileprivate func thumbprints(_ given: [String]) throws(AWSError) -> [String] {
        for text in given where text.utf8.count != 40 || Hexadecimal.decode(text) == nil {
            throw IAMFault.invalid(
                "1 validation error detected: Value '[\(text.prefix(64))]' at 'thumbprintList' failed to satisfy constraint: Member must satisfy "
                    + "constraint: [Member must have length less than or equal to 40, Member must have length greater than or equal to 40]")
        }
        guard given.count <= 5 else { throw IAMFault.limit("Thumbprint list must contain fewer than 5 entries.") }
        return given.map { $0.lowercased() }
    }

    fileprivate func changeProvider(_ change: @Sendable (inout OIDCProviderRecord) throws -> Void) async throws -> QueryResult {
        let arn = try required("OpenIDConnectProviderArn")
        try await identities.state.update { tables in
            var provider = try tables.oidcProvider(arn)
            try change(&provider)
            tables.oidcProviders[arn] = provider
        }
        return nil
    }
}

extension IAMService {
    private static let resource = "oidc-provider/{OpenIDConnectProviderArn}"

    static let oidcProviderOperations: [String: IAMOperation] = [
        "CreateOpenIDConnectProvider": IAMOperation("oidc-provider/*") { call in
            let (url, clientIDs, tags, account, now) = (
                try call.issuer(), call.parameters.strings("ClientIDList"), try call.tags(), call.account, call.now
            )
            let thumbprints = try call.thumbprints(call.parameters.strings("ThumbprintList"))
            guard clientIDs.count <= 100 else { throw IAMFault.limit("Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: 100") }
            let provider = try await call.identities.state.update { tables in
                let arn = ARN(service: "iam", account: account, resource: "oidc-provider/" + url).description
                guard tables.oidcProviders[arn] == nil else {
                    throw IAMFault.exists("Provider with url https://\(url) already exists.")
                }
                guard tables.oidcProviders.values.count < 700 else {
                    throw IAMFault.limit("Cannot exceed quota for OpenIdConnectProvidersPerAccount: 700")
                }
                let provider = OIDCProviderRecord(
                    arn: arn, url: url, clientIDs: clientIDs, thumbprints: thumbprints, createdAt: now, tags: tags)
                tables.oidcProviders[arn] = provider
                return provider
            }
            return { xml in
                xml.leaf("OpenIDConnectProviderArn", provider.arn)
                xml.iamTags(provider.tags)
            }
        },
        "GetOpenIDConnectProvider": IAMOperation(resource) { call in
            let arn = try call.required("OpenIDConnectProviderArn")
            let provider = try await call.identities.state.read { try $0.oidcProvider(arn) }
            return { xml in
                // AWS's issuers have no port. Terraform takes what has one for another URL when the scheme is left out, as AWS leaves it out.
                xml.leaf("Url", provider.url.prefix { $0 != "/" }.contains(":") ? "https://\(provider.url)" : provider.url)
                xml.element("ClientIDList") { xml in for id in provider.clientIDs { xml.leaf("member", id) } }
                xml.element("ThumbprintList") { xml in for text in provider.thumbprints { xml.leaf("member", text) } }
                xml.leaf("CreateDate", AWSTimestamp.extended(provider.createdAt))
                xml.iamTags(provider.tags)
            }
        },
        "ListOpenIDConnectProviders": IAMOperation("*") { call in
            let arns = await call.identities.state.read { $0.oidcProviders.rows.keys.sorted() }
            return { $0.list("OpenIDConnectProviderList", of: arns, item: "member") { $0.leaf("Arn", $1) } }
        },
        "DeleteOpenIDConnectProvider": IAMOperation(resource) { call in
            let arn = try call.required("OpenIDConnectProviderArn")
            // Deleting one that is not there is no error. Upstream: "This operation is idempotent".
            try await call.identities.state.update { $0.oidcProviders[arn] = nil }
            return nil
        },
        "UpdateOpenIDConnectProviderThumbprint": IAMOperation(resource) { call in
            let thumbprints = try call.thumbprints(call.parameters.strings("ThumbprintList"))
            return try await call.changeProvider { $0.thumbprints = thumbprints }
        },
        "AddClientIDToOpenIDConnectProvider": IAMOperation(resource) { call in
            let id = try call.required("ClientID", longest: 255)
            return try await call.changeProvider { provider in
                guard !provider.clientIDs.contains(id) else { return }
                guard provider.clientIDs.count < 100 else { throw IAMFault.limit("Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: 100") }
                provider.clientIDs.append(id)
            }
        },
        "RemoveClientIDFromOpenIDConnectProvider": IAMOperation(resource) { call in
            let id = try call.required("ClientID", longest: 255)
            return try await call.changeProvider { $0.clientIDs.removeAll { $0 == id } }
        },
        "TagOpenIDConnectProvider": IAMOperation(resource) { call in
            let tags = try call.tags()
            return try await call.changeProvider { try IAMCall.add(tags, to: &$0.tags) }
        },
        "UntagOpenIDConnectProvider": IAMOperation(resource) { call in
            let keys = call.parameters.strings("TagKeys")
            return try await call.changeProvider { provider in for key in keys { provider.tags[key] = nil } }
        },
        "ListOpenIDConnectProviderTags": IAMOperation(resource) { call in
            let arn = try call.required("OpenIDConnectProviderArn")
            let tags = try await call.identities.state.read { try $0.oidcProvider(arn).tags }
            return { $0.tagList(tags) }
        },
    ]
}
