package import HTTPTransport

/// How a family of services writes requests and errors. Upstream: botocore service models' `protocol`.
package enum AWSWireProtocol: Sendable, Equatable {
    /// IAM and STS: forms in, XML out; `namespace` is the document's.
    case query(namespace: String)
    /// EC2: forms with its own list names, XML with its own error document.
    case ec2Query
    /// EKS: HTTP methods, paths and JSON bodies.
    case restJSON
    /// CloudWatch Logs and others: `X-Amz-Target` and JSON bodies.
    case json11
}

/// An error as AWS's clients know it: they match on the code, at times on the message.
package struct AWSError: Error, Sendable, Equatable, CustomStringConvertible {
    package var code: String
    package var message: String
    /// The HTTP status.
    package var status: Int
    /// Members beside the message, such as `clusterName`; JSON services only.
    package var fields: [String: AWSJSON]

    package init(_ code: String, _ message: String, status: Int = 400, fields: [String: AWSJSON] = [:]) {
        self.code = code
        self.message = message
        self.status = status
        self.fields = fields
    }

    package var description: String { "\(code): \(message)" }

    /// The error on the wire.
    package func response(for wire: AWSWireProtocol, requestID: String) -> AWSResponse {
        switch wire {
        case .query(let namespace):
            var xml = XMLWriter()
            xml.element("ErrorResponse", namespace: namespace) { xml in
                xml.element("Error") { xml in
                    xml.leaf("Type", status < 500 ? "Sender" : "Receiver")
                    xml.leaf("Code", code)
                    xml.leaf("Message", message)
                }
                xml.leaf("RequestId", requestID)
            }
            return AWSResponse(status: status, contentType: "text/xml", body: xml.bytes)
        case .ec2Query:
            var xml = XMLWriter(declaration: true)
            xml.element("Response") { xml in
                xml.element("Errors") { xml in
                    xml.element("Error") { xml in
                        xml.leaf("Code", code)
                        xml.leaf("Message", message)
                    }
                }
                xml.leaf("RequestID", requestID)
            }
            return AWSResponse(status: status, contentType: "text/xml;charset=UTF-8", body: xml.bytes)
        case .restJSON:
            var members = fields
            members["message"] = .string(message)
            members["__type"] = .string(code)
            var response = AWSResponse(status: status, contentType: "application/json", body: AWSJSON.object(members).encoded)
            response.fields["x-amzn-ErrorType"] = code
            return response
        case .json11:
            var members = fields
            members["message"] = .string(message)
            members["__type"] = .string(code)
            return AWSResponse(status: status, contentType: "application/x-amz-json-1.1", body: AWSJSON.object(members).encoded)
        }
    }
}

/// What a service answers. The endpoint adds the request id.
package struct AWSResponse: Sendable {
    package var status: Int
    package var fields: HTTPFields
    package var body: [UInt8]
    /// Writes the body in place of `body`, as long as the client takes it.
    package var stream: (@Sendable (HTTPBodyWriter) async throws -> Void)?

    package init(status: Int = 200, contentType: String, body: [UInt8]) {
        self.status = status
        fields = ["Content-Type": contentType]
        self.body = body
    }

    /// A JSON answer of a rest-json service.
    package static func json(_ document: AWSJSON, status: Int = 200) -> AWSResponse {
        AWSResponse(status: status, contentType: "application/json", body: document.encoded)
    }

    /// `<ActionResponse xmlns><ActionResult>…</ActionResult><ResponseMetadata>` of IAM and STS. Without `result` the result element is left out, as
    /// AWS does for operations that return nothing.
    package static func query(
        _ action: String, namespace: String, requestID: String, result: ((inout XMLWriter) -> Void)? = nil
    ) -> AWSResponse {
        var xml = XMLWriter()
        xml.element("\(action)Response", namespace: namespace) { xml in
            if let result { xml.element("\(action)Result", result) }
            xml.element("ResponseMetadata") { $0.leaf("RequestId", requestID) }
        }
        return AWSResponse(contentType: "text/xml", body: xml.bytes)
    }

    /// `<ActionResponse xmlns><requestId>…` of EC2.
    package static func ec2(_ action: String, namespace: String, requestID: String, _ content: (inout XMLWriter) -> Void) -> AWSResponse {
        var xml = XMLWriter(declaration: true)
        xml.element("\(action)Response", namespace: namespace) { xml in
            xml.leaf("requestId", requestID)
            content(&xml)
        }
        return AWSResponse(contentType: "text/xml;charset=UTF-8", body: xml.bytes)
    }
}
