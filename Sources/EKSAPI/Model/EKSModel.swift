import AWSProtocol

/// One operation of the service model.
struct EKSOperation: Sendable {
    enum Segment: Sendable, Equatable {
        case literal(String)
        case parameter(String)
    }

    var name: String
    /// `eks` or `eks-auth`.
    var service: String
    var method: String
    var path: [Segment]
    /// The input's shape; nil for none.
    var input: String?
}

/// A shape of an input.
indirect enum EKSShape: Sendable {
    struct Limits: Sendable {
        var min: Int?
        var max: Int?
    }
    struct Member: Sendable {
        enum Place: Sendable {
            case body
            case uri(String)
            case query(String)
        }
        var name: String
        var shape: String
        var place: Place
        var isRequired: Bool
    }

    case structure([Member])
    case list(of: String, Limits)
    case map(key: String, value: String, Limits)
    case enumeration([String])
    case string(Limits, pattern: String?)
    case integer(Limits)
    case double(Limits)
    case boolean
    case timestamp
}

/// The service model: what `EKSModelTable` says, parsed once. Upstream: botocore data/eks/2017-11-01/service-2.json.
struct EKSModel: Sendable {
    private(set) var operations: [EKSOperation] = []
    private(set) var shapes: [String: EKSShape] = [:]

    static let shared = EKSModel(EKSModelTable.text)

    init(_ table: String) {
        var logical: [[Substring]] = []
        for line in table.split(separator: "\n") {
            let words = line.split(separator: " ")
            if line.hasPrefix("  "), !logical.isEmpty { logical[logical.count - 1] += words } else { logical.append(words) }
        }
        for words in logical { read(words) }
    }

    private mutating func read(_ words: [Substring]) {
        guard words.count >= 2 else { return }
        let name = String(words[1])
        switch words[0] {
        case "operation" where words.count == 6:
            let path = words[4].split(separator: "/").map { part -> EKSOperation.Segment in
                part.hasPrefix("{") ? .parameter(String(part.dropFirst().dropLast())) : .literal(String(part))
            }
            operations.append(
                EKSOperation(
                    name: name, service: String(words[2]), method: String(words[3]), path: path, input: words[5] == "-" ? nil : String(words[5])))
        case "structure": shapes[name] = .structure(words.dropFirst(2).map(EKSModel.member))
        case "list" where words.count >= 3: shapes[name] = .list(of: String(words[2]), EKSModel.limits(words.dropFirst(3)))
        case "map" where words.count >= 4: shapes[name] = .map(key: String(words[2]), value: String(words[3]), EKSModel.limits(words.dropFirst(4)))
        case "enum": shapes[name] = .enumeration(words.dropFirst(2).map(String.init))
        case "string":
            let pattern = words.dropFirst(2).first { $0.hasPrefix("~") }.map { String($0.dropFirst()) }
            shapes[name] = .string(EKSModel.limits(words.dropFirst(2)), pattern: pattern)
        case "integer": shapes[name] = .integer(EKSModel.limits(words.dropFirst(2)))
        case "double": shapes[name] = .double(EKSModel.limits(words.dropFirst(2)))
        case "boolean": shapes[name] = .boolean
        case "timestamp": shapes[name] = .timestamp
        default: break
        }
    }

    /// `name:Shape*` (required), `name@uri=wire:Shape`, `name@query=wire:Shape`
    private static func member(_ word: Substring) -> EKSShape.Member {
        let isRequired = word.hasSuffix("*")
        let parts = (isRequired ? word.dropLast() : word).split(separator: ":")
        let place = (parts.first ?? "").split(separator: "@")
        var member = EKSShape.Member(name: String(place.first ?? ""), shape: String(parts.last ?? ""), place: .body, isRequired: isRequired)
        if place.count == 2 {
            let (kind, wire) = (place[1].prefix { $0 != "=" }, String(place[1].drop { $0 != "=" }.dropFirst()))
            member.place = kind == "uri" ? .uri(wire) : .query(wire)
        }
        return member
    }

    private static func limits(_ words: ArraySlice<Substring>) -> EKSShape.Limits {
        guard let word = words.first(where: { $0.contains("..") && !$0.hasPrefix("~") }) else { return EKSShape.Limits() }
        let parts = word.split(separator: ".", omittingEmptySubsequences: false)
        return EKSShape.Limits(min: parts.first.flatMap { Int($0) }, max: parts.last.flatMap { Int($0) })
    }

    /// The operation for a method and a path as it is on the wire, and the path's parameters, decoded. Literals win over parameters.
    func route(method: String, path: some StringProtocol) -> (operation: EKSOperation, parameters: [String: String])? {
        // Exactly: no path stands for another one, as `//clusters` would.
        let segments = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
        var best: (operation: EKSOperation, parameters: [String: String])?
        for operation in operations where operation.method == method && operation.path.count == segments.count {
            var parameters: [String: String] = [:]
            let isMatch = zip(operation.path, segments).allSatisfy { pattern, segment in
                switch pattern {
                case .literal(let text): return text == segment
                case .parameter(let name):
                    guard !segment.isEmpty, let value = PercentEncoding.decode(segment) else { return false }
                    parameters[name] = value
                    return true
                }
            }
            guard isMatch else { continue }
            if best.map({ parameters.count < $0.parameters.count }) ?? true { best = (operation, parameters) }
        }
        return best
    }
}
