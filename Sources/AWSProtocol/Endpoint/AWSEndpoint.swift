package import HTTPTransport
package import Logging

/// The one address all AWS services are served at: authenticates a request, then hands it to the service of its credential scope.
package struct AWSEndpoint: HTTPResponder {
    /// A batch of log events of 1 MiB, written as JSON, is the largest there is.
    static let bodyLimit = 1 << 22

    private let services: [String: any AWSService]
    private let regions: Set<String>
    private let verifier: SignatureVerifier
    private let logger: Logger

    /// `regions` are those whose credential scopes regional services take.
    package init(services: [any AWSService], regions: Set<String>, verifier: SignatureVerifier, logger: Logger) {
        var byName: [String: any AWSService] = [:]
        for service in services {
            for name in service.signingNames { byName[name] = service }
        }
        self.services = byName
        self.regions = regions
        self.verifier = verifier
        self.logger = logger
    }

    package func respond(to head: HTTPRequestHead, body: HTTPBodyStream) async -> HTTPResponse {
        let requestID = AWSIdentifier.uuid()
        var wire = AWSWireProtocol.restJSON
        var response: AWSResponse
        do {
            let bytes = try await body.collect(limit: AWSEndpoint.bodyLimit)
            response = try await answer(head, bytes, requestID, &wire)
        } catch let failure as AuthenticationFailure {
            logger.debug("refused", metadata: ["requestID": "\(requestID)", "from": "\(head.connection.remoteAddress)", "why": "\(failure)"])
            response = AWSError(failure, for: wire).response(for: wire, requestID: requestID)
        } catch let denial as AccessDenial {
            response = AWSError(denial, for: wire).response(for: wire, requestID: requestID)
        } catch let error as AWSError {
            response = error.response(for: wire, requestID: requestID)
        } catch let unavailable as ServiceUnavailable {
            logger.error(
                "storage is unavailable",
                metadata: ["requestID": "\(requestID)", "target": "\(head.method) \(head.path)", "error": "\(unavailable.reason)"])
            response = AWSError(unavailable, for: wire).response(for: wire, requestID: requestID)
        } catch HTTPError.bodyTooLarge(let limit) {
            let error = AWSError("RequestEntityTooLargeException", "The request's body is larger than \(limit) bytes.", status: 413)
            response = error.response(for: wire, requestID: requestID)
        } catch {
            logger.error("request failed", metadata: ["requestID": "\(requestID)", "target": "\(head.method) \(head.path)", "error": "\(error)"])
            let isQuery = wire != .restJSON && wire != .json11
            let text = "The service failed to handle the request; its log has the reason under request id \(requestID)."
            let code =
                isQuery ? (wire == .ec2Query ? "InternalError" : "ServiceFailure") : (wire == .restJSON ? "ServerException" : "InternalFailure")
            response = AWSError(code, text, status: 500).response(for: wire, requestID: requestID)
        }
        response.fields["x-amzn-RequestId"] = requestID
        return HTTPResponse(
            status: response.status, fields: response.fields, body: response.stream.map(HTTPResponse.Body.stream) ?? .bytes(response.body))
    }

    private func answer(
        _ head: HTTPRequestHead, _ body: [UInt8], _ requestID: String, _ wire: inout AWSWireProtocol
    ) async throws -> AWSResponse {
        let guessed = guessService(head, body)
        if let service = services[guessed] { wire = service.wireProtocol }
        guard let query = PercentEncoding.decodePairs(head.query) else {
            throw AWSError("MalformedQueryString", "The query string is not properly encoded.", status: 400)
        }
        guard let signature = try RequestSignature.parse(head, query: query) else {
            let request = AWSRequest(
                head: head, service: guessed, region: regions.min() ?? "", requestID: requestID, caller: .anonymous, query: query, body: body)
            guard let service = services[guessed], service.takesUnsigned(request) else { throw AuthenticationFailure.missing }
            return try await service.handle(request)
        }
        guard let service = services[signature.scope.service] else {
            // Which service was meant is what the request looks like, so the answer takes its form.
            let known = services.keys.sorted().map { "'\($0)'" }.joined(separator: ", ")
            throw AuthenticationFailure.signatureMismatch(
                "Credential should be scoped to correct service: one of \(known), not '\(signature.scope.service.prefix(64))'. ")
        }
        wire = service.wireProtocol
        guard service.isGlobal || regions.contains(signature.scope.region) else {
            throw AuthenticationFailure.signatureMismatch(
                "Credential should be scoped to a valid region: \(regions.sorted().map { "'\($0)'" }.joined(separator: ", ")), not "
                    + "'\(signature.scope.region.prefix(64))'. "
            )
        }
        let caller = try await authenticate(head, query, signature, body)
        let request = AWSRequest(
            head: head, service: signature.scope.service, region: signature.scope.region, requestID: requestID, caller: caller,
            query: query.filter { !$0.name.hasPrefix("X-Amz-") }, body: body)
        logger.debug(
            "request",
            metadata: [
                "requestID": "\(requestID)", "target": "\(head.method) \(head.path)", "caller": "\(caller.arn)", "key": "\(caller.accessKeyID)",
            ])
        return try await service.handle(request)
    }

    private func authenticate(
        _ head: HTTPRequestHead, _ query: [(name: String, value: String)], _ signature: RequestSignature, _ body: [UInt8]
    ) async throws -> AWSCaller {
        try verifier.checkDate(signature)
        var headers = head.fields.fields.map { (name: $0.name.lowercased(), value: $0.value) }.filter { $0.name != "host" }
        headers.append((name: "host", value: head.authority))
        // What decides the meaning of a request must be covered by its signature.
        for name in ["x-amz-target", "x-amz-security-token"] where !signature.isPresigned && head.fields[name] != nil {
            guard signature.signedHeaders.contains(name) else {
                throw AuthenticationFailure.signatureMismatch("There were headers present in the request which were not signed: \(name)")
            }
        }
        let isS3 = signature.scope.service == "s3"
        let payloadHash =
            isS3 && head.fields["X-Amz-Content-SHA256"] == SigV4.unsignedPayload ? SigV4.unsignedPayload : CanonicalRequest.hash(of: body)
        let canonical = CanonicalRequest(
            method: head.method, path: String(head.path), query: signature.isPresigned ? query.filter { $0.name != "X-Amz-Signature" } : query,
            headers: headers,
            signedHeaders: signature.signedHeaders, payloadHash: payloadHash, isS3: isS3)
        let caller = try await verifier.verify(canonical, signature)
        if let claimed = head.fields["X-Amz-Content-SHA256"], claimed != payloadHash {
            throw AuthenticationFailure.signatureMismatch("The value of the x-amz-content-sha256 header does not match the body's SHA-256.")
        }
        return caller
    }

    /// The service an unsigned or unreadable request seems to be for, so that its error has the right form.
    private func guessService(_ head: HTTPRequestHead, _ body: [UInt8]) -> String {
        if let target = head.fields["X-Amz-Target"] {
            let prefix = target.prefix { $0 != "_" && $0 != "." }.lowercased()
            return ["amazonssm": "ssm", "trentservice": "kms"][prefix] ?? prefix
        }
        let isForm = head.fields["Content-Type"]?.hasPrefix("application/x-www-form-urlencoded") ?? false
        let text = isForm ? String(decoding: body.prefix(4_096), as: UTF8.self) : String(head.query)
        if let version = PercentEncoding.decodePairs(text)?.first(where: { $0.name == "Version" })?.value {
            switch version {
            case "2016-11-15": return "ec2"
            case "2010-05-08": return "iam"
            case "2011-06-15": return "sts"
            default: break
            }
        }
        // botocore's User-Agent names the service: "… md/command#eks.list-clusters", boto3 "… api/eks#1.43".
        if let agent = head.fields["User-Agent"], let range = agent.split(separator: " ").first(where: { $0.hasPrefix("api/") }) {
            return range.dropFirst(4).prefix { $0 != "#" }.lowercased()
        }
        return isForm ? "ec2" : "eks"
    }
}
