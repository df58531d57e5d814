/// An Application Load Balancer as a group of Ingresses asks for it: values that were checked, and no text of anybody's configuration.
/// Upstream: aws-load-balancer-controller pkg/model/elbv2.
struct ApplicationBalancer: Sendable, Equatable {
    /// `GroupID.name`.
    var id: String
    /// What `load-balancer-name` says; nil: nothing.
    var name: String?
    var tags: [String: String] = [:]
    /// Seconds after which a silent connection is ended.
    var idleTimeout = 60
    var listeners: [Listener] = []
    /// All that rules forward to, by their names in order.
    var targetGroups: [TargetGroup] = []

    /// A port with its rules, the first that matches counts.
    struct Listener: Sendable, Equatable {
        var port: UInt16
        /// With certificates it is HTTPS.
        var certificates: [Certificate] = []
        /// IPv4 ranges of clients that may connect; empty: all.
        var sourceRanges: [String] = []
        var rules: [Rule] = []
        var otherwise = Action.notFound

        var isSecure: Bool { !certificates.isEmpty }
    }

    /// A Secret's certificate chain and key. `name` changes with its content, so that one that is in use is never overwritten.
    struct Certificate: Sendable, Equatable {
        var name: String
        var pem: String
    }

    /// All conditions must hold.
    struct Rule: Sendable, Equatable {
        var conditions: [Condition]
        var action: Action
    }

    /// One of the values must match. Values are patterns with `*` and `?`, ranges apart.
    enum Condition: Sendable, Equatable {
        case host([String])
        case path([String])
        case header(name: String, values: [String])
        /// Whole words, case matters.
        case method([String])
        case query([QueryPair])
        /// Ranges of IPv4.
        case source([String])
    }

    /// A pattern for a parameter's value; without a key any parameter's.
    struct QueryPair: Sendable, Equatable {
        var key: String?
        var value: String
    }

    /// What is done with a request.
    enum Action: Sendable, Equatable {
        case forward([Share])
        case redirect(Redirect)
        case respond(Response)

        /// Upstream: model_build_actions build404Action.
        static let notFound = Action.respond(Response(status: 404))
        /// Upstream: enhanced_backend_builder build503ResponseAction.
        static func unavailable(_ body: String) -> Action { .respond(Response(status: 503, contentType: "text/plain", body: body)) }
    }

    /// A target group's name and its weight among the others of its action.
    struct Share: Sendable, Equatable {
        var group: String
        var weight: Int
    }

    /// Parts with placeholders `#{host}`, `#{path}`, `#{port}`, `#{protocol}`, `#{query}`. Upstream: elbv2 RedirectActionConfig.
    struct Redirect: Sendable, Equatable {
        var scheme = "#{protocol}"
        var host = "#{host}"
        var port = "#{port}"
        var path = "/#{path}"
        var query = "#{query}"
        /// 301 or 302.
        var status = 302
    }

    /// Upstream: elbv2 FixedResponseActionConfig.
    struct Response: Sendable, Equatable {
        var status: Int
        var contentType: String?
        var body = ""
    }

    /// Where requests go, and how it is found out who can take them. Upstream: elbv2 TargetGroupSpec.
    struct TargetGroup: Sendable, Equatable {
        var name: String
        var targets: [Target]
        var isSecure = false
        var version = Version.http1
        var check = HealthCheck()
        /// Seconds for which a client stays with its target; nil: it does not.
        var stickiness: Int?
        var balance = Balance.roundRobin
    }

    /// An address of IPv4 and a port.
    struct Target: Sendable, Hashable, Comparable {
        var address: String
        var port: UInt16

        static func < (a: Target, b: Target) -> Bool { a.address == b.address ? a.port < b.port : a.address < b.address }
    }

    /// Upstream: `backend-protocol-version`.
    enum Version: String, Sendable {
        case http1 = "HTTP1"
        case http2 = "HTTP2"
        case grpc = "GRPC"
    }

    /// Upstream: the attribute load_balancing.algorithm.type.
    enum Balance: String, Sendable {
        case roundRobin = "round_robin"
        case leastOutstanding = "least_outstanding_requests"
        case random = "weighted_random"
    }

    /// The defaults are the controller's. Upstream: model_build_target_group.
    struct HealthCheck: Sendable, Equatable {
        var path = "/"
        /// Nil: the targets' own.
        var port: UInt16?
        var isSecure = false
        var interval = 15
        var timeout = 5
        var healthy = 2
        var unhealthy = 2
        /// Status codes and ranges: `200,202-204`.
        var codes = "200"
    }
}

/// Why Ingresses cannot be a balancer, for the event FailedBuildModel.
struct IngressModelError: Error, Equatable, CustomStringConvertible {
    var description: String

    init(_ description: String) { self.description = description }
}
