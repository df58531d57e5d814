package import AWSProtocol

/// A public parameter. Upstream: ssm Parameter.
struct PublicParameter: Sendable {
    var name: String
    var value: String
    var dataType = "text"

    /// The parameters by which clients look for the images of EKS's nodes, by name. Upstream: EKS User Guide, "Retrieve recommended Amazon Linux
    /// AMI IDs".
    static let all: [String: PublicParameter] = {
        var parameters: [String: PublicParameter] = [:]
        func add(_ name: String, _ value: String, _ type: String = "text") {
            parameters[name] = PublicParameter(name: name, value: value, dataType: type)
        }
        for image in EKSImages.all {
            let base = "/aws/service/eks/optimized-ami/\(image.kubernetesVersion)/\(image.parameterPath)/recommended"
            add(base + "/image_id", image.id, "aws:ec2:image")
            add(base + "/image_name", image.name)
            add(base + "/release_version", image.releaseVersion)
            let document: AWSJSON = [
                "schema_version": "2", "image_id": .string(image.id), "image_name": .string(image.name),
                "release_version": .string(image.releaseVersion),
            ]
            add(base, String(decoding: document.encoded, as: UTF8.self))
        }
        return parameters
    }()
}

/// Systems Manager on the wire: the public parameters, and nothing else. Upstream: botocore data/ssm/2014-11-06.
package struct SSMService: AWSService {
    package let signingNames: Set<String> = ["ssm"]
    package let wireProtocol = AWSWireProtocol.json11

    private let authorizer: any AWSAuthorizer
    private let region: String
    private let clock: AWSClock
    private let pages = PaginationTokens(key: Array(AWSIdentifier.secret().utf8))
    /// Midnight, UTC, of the images' release: 2026-09-01.
    private static let released = 1_788_220_800

    package init(authorizer: any AWSAuthorizer, region: String, clock: AWSClock = .system) {
        self.authorizer = authorizer
        self.region = region
        self.clock = clock
    }

    package func handle(_ request: AWSRequest) async throws -> AWSResponse {
        let call = try JSONCall(request, targetPrefix: "AmazonSSM", badInput: "ValidationException", now: clock.now)
        let names = try call.string("Name").map { [$0] } ?? call.strings("Names")
        let path = try call.string("Path")
        let resources = (names + [path].compactMap { $0 }).map(arn)
        for resource in resources.isEmpty ? ["*"] : resources {
            try await authorizer.authorize(request.caller, action: "ssm:" + call.action, resource: resource, context: call.context(tags: [:]))
        }
        switch call.action {
        case "GetParameter":
            let name = try call.required("Name", longest: 2_048)
            guard let parameter = PublicParameter.all[plain(name)] else {
                throw AWSError("ParameterNotFound", "Parameter \(name.prefix(200)) not found.")
            }
            return .json11(["Parameter": document(parameter)])
        case "GetParameters":
            guard (1...10).contains(names.count) else { throw call.invalid("Names must be from 1 to 10") }
            let found = names.compactMap { PublicParameter.all[plain($0)] }
            let missing = names.filter { PublicParameter.all[plain($0)] == nil }
            return .json11(["Parameters": .array(found.map(document)), "InvalidParameters": .strings(missing)])
        case "GetParametersByPath":
            return .json11(try byPath(try call.required("Path", longest: 2_048), call))
        default:
            throw AWSError("UnknownOperationException", "The operation \(call.action.prefix(100)) is not implemented by Eyrie.")
        }
    }

    /// Parameters may be named by their ARNs, and with a version.
    private func plain(_ name: String) -> String {
        guard let parsed = ARN(name), parsed.service == "ssm", parsed.resource.hasPrefix("parameter/") else {
            return name.hasSuffix(":1") ? String(name.dropLast(2)) : name
        }
        return String(parsed.resource.dropFirst(9))
    }

    private func arn(_ name: String) -> String {
        name.hasPrefix("arn:")
            ? name
            : ARN(
                partition: ARN.partition(ofRegion: region), service: "ssm", region: region, account: "",
                resource: "parameter" + (name.hasPrefix("/") ? name : "/" + name)
            ).description
    }

    private func document(_ parameter: PublicParameter) -> AWSJSON {
        [
            "Name": .string(parameter.name), "Type": "String", "Value": .string(parameter.value), "Version": 1,
            "LastModifiedDate": .integer(Self.released), "ARN": .string(arn(parameter.name)), "DataType": .string(parameter.dataType),
        ]
    }

    private func byPath(_ path: String, _ call: JSONCall) throws(AWSError) -> AWSJSON {
        let prefix = path.hasSuffix("/") ? path : path + "/"
        let isRecursive = try call.bool("Recursive") ?? false
        let names = PublicParameter.all.keys.filter { $0.hasPrefix(prefix) && (isRecursive || !$0.dropFirst(prefix.count).contains("/")) }
        let size = try call.integer("MaxResults", in: 1...10) ?? 10
        guard let found = pages.page(of: names, operation: path, token: try call.string("NextToken"), size: size) else {
            throw AWSError("InvalidNextToken", "The specified token isn't valid.")
        }
        return .compact([
            "Parameters": .array(found.page.compactMap { PublicParameter.all[$0] }.map(document)), "NextToken": found.next.map(AWSJSON.string),
        ])
    }
}
