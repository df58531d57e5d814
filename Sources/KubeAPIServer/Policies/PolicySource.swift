import CEL
import KubeAPI
import Synchronization

/// What both kinds of policies have in common, compiled once. Upstream: generic.PolicyAccessor.
struct PolicyHead: Sendable {
    let name: String
    /// Nil with the reason: the policy's selectors cannot be read.
    let matcher: Result<RuleMatcher, SelectorError>
    let paramKind: GroupVersionKind?
    let ignoresFailures: Bool
    /// By their names.
    let conditions: [(name: String, expression: PolicyExpression)]
    let variables: [(name: String, expression: PolicyExpression)]

    init(_ object: Object, _ compiler: inout PolicyCompiler) {
        let spec = object["spec"]
        name = object.metadata.name
        matcher = Self.matcher(spec["matchConstraints"], isBinding: false)
        paramKind = spec["paramKind"].present.map { GroupVersionKind(apiVersion: $0["apiVersion"].string ?? "", kind: $0["kind"].string ?? "") }
        ignoresFailures = spec["failurePolicy"].string == "Ignore"
        for variable in spec["variables"].elements { compiler.add(variable: variable) }
        variables = compiler.variables
        conditions = spec["matchConditions"].elements.map { [compiler] view in
            (view["name"].string ?? "", compiler.compileCondition(view["expression"].string ?? ""))
        }
    }

    static func matcher(_ view: JSONView?, isBinding: Bool) -> Result<RuleMatcher, SelectorError> {
        do throws(SelectorError) {
            return .success(try RuleMatcher(matchResources: view, isBinding: isBinding))
        } catch {
            return .failure(error)
        }
    }
}

/// A policy as it is kept: its head and what its kind adds.
protocol CompiledPolicy: Sendable {
    var head: PolicyHead { get }
    init(_ object: Object)
}

/// Binds a policy to requests and parameters. Upstream: generic.BindingAccessor.
struct PolicyBinding: Sendable {
    let name: String
    let policyName: String
    let matcher: Result<RuleMatcher, SelectorError>
    let paramRef: ParamRef?
    let actions: [String]

    /// Upstream: admissionregistration.ParamRef.
    struct ParamRef: Sendable {
        let name: String
        let namespace: String
        let selector: Result<LabelSelector, SelectorError>?
        let deniesWhenMissing: Bool
    }

    init(_ object: Object) {
        let spec = object["spec"]
        name = object.metadata.name
        policyName = spec["policyName"].string ?? ""
        matcher = PolicyHead.matcher(spec["matchResources"].present, isBinding: true)
        actions = spec["validationActions"].strings
        paramRef = spec["paramRef"].present.map { view in
            var selector: Result<LabelSelector, SelectorError>?
            if let found = view["selector"].present {
                do throws(SelectorError) { selector = .success(try LabelSelector(object: found)) } catch { selector = .failure(error) }
            }
            return ParamRef(
                name: view["name"].string ?? "", namespace: view["namespace"].string ?? "", selector: selector,
                deniesWhenMissing: view["parameterNotFoundAction"].string == "Deny")
        }
    }
}

/// The policies of one kind with their bindings, by name, kept in step with the objects: nothing is compiled for a request.
/// Upstream: generic.policySource.
final class PolicySource<Policy: CompiledPolicy>: Sendable {
    typealias Hook = (policy: Policy, bindings: [PolicyBinding])

    private struct State {
        var policies: [String: Policy] = [:]
        var bindings: [String: PolicyBinding] = [:]
        /// Policies that are bound, in the order of their names.
        var hooks: [Hook] = []

        mutating func link() {
            let byPolicy = Dictionary(grouping: bindings.values, by: \.policyName)
            hooks = policies.values.sorted { $0.head.name < $1.head.name }.compactMap { policy in
                guard let bindings = byPolicy[policy.head.name] else { return nil }
                return (policy, bindings.sorted { $0.name < $1.name })
            }
        }
    }

    private let state = Mutex(State())

    init(reader: any ObjectReader, policies: String, bindings: String) {
        let group = "admissionregistration.k8s.io"
        ObjectFollower.follow(reader, GroupResource(group: group, resource: policies)) { [weak self] old, new in
            guard let self, let name = (new ?? old)?.metadata.name else { return }
            // A write of the status alone changes nothing that is compiled.
            if let old, let new, new.metadata.generation == old.metadata.generation, new.metadata.uid == old.metadata.uid { return }
            let compiled = new.map { Policy($0) }
            self.state.withLock { state in
                state.policies[name] = compiled
                state.link()
            }
        }
        ObjectFollower.follow(reader, GroupResource(group: group, resource: bindings)) { [weak self] old, new in
            guard let self, let name = (new ?? old)?.metadata.name else { return }
            let binding = new.map { PolicyBinding($0) }
            self.state.withLock { state in
                state.bindings[name] = binding
                state.link()
            }
        }
    }

    var hooks: [Hook] { state.withLock(\.hooks) }
}

/// Why a policy or binding cannot be used. Upstream: the errors given to addConfigError.
struct PolicyConfigurationError: Error {
    let text: String
}

/// Finds the parameters that a binding names. Upstream: generic.CollectParams.
struct PolicyParameters {
    let reader: any ObjectReader
    let catalog: AdmissionCatalog

    /// Nil elements: evaluate without parameters. Empty: nothing to evaluate. Throws for what is not configured rightly.
    func collect(_ kind: GroupVersionKind?, _ ref: PolicyBinding.ParamRef?, namespace: String) throws(PolicyConfigurationError) -> [Object?] {
        guard let kind, let ref else { return [nil] }
        guard let row = catalog.table()[kind] else {
            throw PolicyConfigurationError(text: "paramKind kind `\(kind.apiVersion), Kind=\(kind.kind)` not known")
        }
        var place = ""
        if row.namespaced {
            place = ref.namespace.isEmpty ? namespace : ref.namespace
            if place.isEmpty {
                throw PolicyConfigurationError(text: "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources")
            }
        } else if !ref.namespace.isEmpty {
            throw PolicyConfigurationError(text: "paramRef.namespace must not be provided for a cluster-scoped `paramKind`")
        }
        var found: [Object] = []
        if !ref.name.isEmpty {
            if ref.selector != nil { throw PolicyConfigurationError(text: "paramRef.name and paramRef.selector are mutually exclusive") }
            if let object = reader.get(row.groupResource, namespace: place, name: ref.name) { found = [object] }
        } else {
            switch ref.selector {
            case .success(let selector)?:
                found = reader.list(row.groupResource, namespace: row.namespaced ? place : nil).filter { selector.matches($0) }
            case .failure(let error)?: throw PolicyConfigurationError(text: "\(error)")
            case nil: throw PolicyConfigurationError(text: "one of name or selector must be provided")
            }
        }
        if found.isEmpty, ref.deniesWhenMissing {
            throw PolicyConfigurationError(text: "no params found for policy binding with `Deny` parameterNotFoundAction")
        }
        return found
    }
}
