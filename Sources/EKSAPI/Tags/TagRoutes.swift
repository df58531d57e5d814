import AWSProtocol
import ClusterLifecycle

extension EKSAPI {
    static let tagHandlers: [String: EKSHandler] = [
        "TagResource": { call in
            try await call.service.changeTags(of: call.required("resourceArn"), add: call.input["tags"]?.stringMap ?? [:], remove: [])
            return [:]
        },
        "UntagResource": { call in
            try await call.service.changeTags(of: call.required("resourceArn"), add: [:], remove: call.strings("tagKeys"))
            return [:]
        },
        "ListTagsForResource": { call in ["tags": .map(try await call.service.tags(of: call.required("resourceArn")))] },
    ]
}
