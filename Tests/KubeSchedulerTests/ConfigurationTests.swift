import KubeAPI
import Testing

@testable import KubeScheduler

private func read(_ text: String, files: [String: String] = [:]) throws(SchedulerConfigurationError) -> SchedulerConfiguration {
    try SchedulerConfiguration(
        text: "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n" + text, read: { files[$0] })
}

/// What is wrong with a file; nil: nothing.
private func problem(_ text: String) -> String? {
    do throws(SchedulerConfigurationError) { _ = try read(text) } catch { return error.description }
    return nil
}

/// The first profile with these lines as its `plugins`.
private func profile(plugins: String) throws -> Profile {
    let lines = plugins.split(separator: "\n").map { "    \($0)" }.joined(separator: "\n")
    return try #require(try read("profiles:\n- plugins:\n\(lines)\n").profiles.first)
}

/// The first profile with these lines as a plugin's arguments.
private func profile(_ plugin: String, args: String) throws -> Profile {
    try #require(try read("profiles:\n- pluginConfig:\n  - name: \(plugin)\n    args: \(args)\n").profiles.first)
}

private func weights(_ profile: Profile) -> [String: Int64] {
    Dictionary(uniqueKeysWithValues: profile.scores.map { ($0.plugin.name, $0.weight) })
}

private func totals(_ profile: Profile, _ pod: PodInfo, _ cache: SchedulerCache, workload: LabelSelector? = nil) -> [String: Int64] {
    var cache = cache
    let nodes = cache.nodes.filter(\.isPresent)
    var cycle = SchedulingCycle(profile: profile)
    let totals = cycle.totals(of: nodes.map(\.place), CycleInput(pod: pod, workloadSelector: workload), nil, &cache)
    return Dictionary(uniqueKeysWithValues: zip(nodes.map(\.name), totals))
}

private func schedule(_ profile: Profile, _ pod: PodInfo, _ cache: SchedulerCache, workload: LabelSelector? = nil) -> SchedulingCycle.Outcome {
    var cache = cache
    var cycle = SchedulingCycle(profile: profile)
    return cycle.schedule(CycleInput(pod: pod, workloadSelector: workload), &cache, random: { _ in 0 })
}

@Suite("Scheduler: the configuration")
struct ConfigurationTests {
    @Test("an empty configuration is the default profile of upstream")
    func defaults() throws {
        let configuration = try read("")
        #expect(configuration.schedulerNames == ["default-scheduler"])
        #expect(configuration.backoff == PodBackoff(initial: 1, maximum: 10))
        let profile = try #require(configuration.profiles.first)
        #expect(
            profile.filters.map(\.name) == [
                "NodeUnschedulable", "NodeName", "TaintToleration", "NodeAffinity", "NodePorts", "NodeResourcesFit", "VolumeRestrictions",
                "NodeVolumeLimits", "VolumeBinding", "VolumeZone", "PodTopologySpread", "InterPodAffinity",
                "DynamicResources",
            ])
        #expect(
            weights(profile) == [
                "TaintToleration": 3, "NodeAffinity": 2, "NodeResourcesFit": 1, "PodTopologySpread": 2, "InterPodAffinity": 2,
                "NodeResourcesBalancedAllocation": 1, "ImageLocality": 1,
            ])
        #expect(profile.preemption == .standard && profile.holdsGatedPods && profile.volumePatience == .seconds(600))
        #expect(SchedulerConfiguration.standard.profiles.map(\.name) == ["default-scheduler"])
    }

    @Test("JSON is read as YAML is, and what speaks of a process of its own is accepted")
    func json() throws {
        let text = """
            {"apiVersion":"kubescheduler.config.k8s.io/v1","kind":"KubeSchedulerConfiguration","parallelism":4,
             "leaderElection":{"leaderElect":false},"clientConnection":{"kubeconfig":"/x"},"percentageOfNodesToScore":30,
             "podInitialBackoffSeconds":2,"podMaxBackoffSeconds":60,
             "profiles":[{"schedulerName":"a","percentageOfNodesToScore":70},{"schedulerName":"b"}]}
            """
        let configuration = try SchedulerConfiguration(text: text, read: { _ in nil })
        #expect(configuration.profiles.map(\.percentageOfNodes) == [70, 30])
        #expect((1...7).map { configuration.backoff.seconds(attempts: $0) } == [2, 4, 8, 16, 32, 60, 60])
    }

    @Test(
        "what is wrong is said in upstream's words, with the field",
        arguments: [
            ("parallelism: 0", "parallelism: Invalid value: 0: should be an integer value greater than zero"),
            ("parallelism: x", "parallelism: Invalid value: \"x\": must be an integer of 32 bits"),
            ("percentageOfNodesToScore: 101", "percentageOfNodesToScore: Invalid value: 101: not in valid range [0-100]"),
            ("podInitialBackoffSeconds: 0", "podInitialBackoffSeconds: Invalid value: 0: must be greater than 0"),
            (
                "podMaxBackoffSeconds: 0",
                "podMaxBackoffSeconds: Invalid value: 0: must be greater than or equal to PodInitialBackoffSeconds"
            ),
            ("profiles: [{}, {schedulerName: a}]", "profiles[0].schedulerName: Required value"),
            (
                "profiles: [{schedulerName: a}, {schedulerName: a}]",
                "profiles[1].schedulerName: Duplicate value: \"profiles[0].schedulerName\""
            ),
            ("profiles: [{schedulerNam: a}]", "unknown field \"profiles[0].schedulerNam\""),
            ("profiles: {}", "profiles: Invalid value: must be a list"),
            (
                "profiles: [{plugins: {filter: {enabled: [{name: Nope}]}}}]",
                "profiles[0].plugins: creating profile for scheduler name default-scheduler: FilterPlugin \"Nope\" does not exist"
            ),
            (
                "profiles: [{plugins: {score: {enabled: [{name: NodeName}]}}}]",
                "profiles[0].plugins: creating profile for scheduler name default-scheduler: plugin \"NodeName\" does not extend ScorePlugin plugin"
            ),
            (
                "profiles: [{plugins: {queueSort: {disabled: [{name: '*'}]}}}]",
                "profiles[0].plugins: creating profile for scheduler name default-scheduler: "
                    + "only one queue sort plugin required for profile with scheduler name \"default-scheduler\", but got 0"
            ),
            (
                "profiles: [{plugins: {bind: {disabled: [{name: '*'}]}}}]",
                "profiles[0].plugins: creating profile for scheduler name default-scheduler: "
                    + "at least one bind plugin is needed for profile with scheduler name \"default-scheduler\""
            ),
            (
                "profiles: [{schedulerName: a, plugins: {queueSort: {enabled: [{name: PrioritySort}]}}}, {schedulerName: b}]",
                "profiles[1].plugins.queueSort: Invalid value: {}: must be the same for all profiles"
            ),
            (
                "profiles: [{pluginConfig: [{name: NodeAffinity}, {name: NodeAffinity}]}]",
                "profiles[0].pluginConfig[1]: Duplicate value: \"NodeAffinity\""
            ),
            (
                "extenders: [{urlPrefix: 'http://a', prioritizeVerb: p}]",
                "extenders[0].weight: Invalid value: 0: must have a positive weight applied to it"
            ),
            (
                "extenders: [{urlPrefix: 'http://a', bindVerb: b}, {urlPrefix: 'http://b', bindVerb: b}]",
                "extenders: Invalid value: \"found 2 extenders implementing bind\": only one extender can implement bind"
            ),
            (
                "extenders: [{urlPrefix: 'http://a', managedResources: [{name: cpu}]}]",
                "extenders[0].managedResources[0].name: Invalid value: \"cpu\": is an invalid extended resource name"
            ),
        ])
    func refusals(text: String, message: String) { #expect(problem(text) == message) }

    @Test("another kind, another version and no object at all are refused")
    func otherKinds() {
        for text in ["", "[]", "apiVersion: kubescheduler.config.k8s.io/v1beta3\nkind: KubeSchedulerConfiguration", "a: &x [*x]", "\u{0}"] {
            #expect(throws: SchedulerConfigurationError.self) { try SchedulerConfiguration(text: text, read: { _ in nil }) }
        }
    }

    @Test(
        "arguments of plugins are checked",
        arguments: [
            ("InterPodAffinity", "{hardPodAffinityWeight: 101}", "hardPodAffinityWeight: Invalid value: 101: not in valid range [0, 100]"),
            (
                "VolumeBinding", "{bindTimeoutSeconds: -1}",
                "bindTimeoutSeconds: Invalid value: -1: invalid BindTimeoutSeconds, should not be a negative value"
            ),
            (
                "DefaultPreemption", "{minCandidateNodesPercentage: 101}",
                "minCandidateNodesPercentage: Invalid value: 101: not in valid range [0, 100]"
            ),
            (
                "NodeResourcesFit", "{scoringStrategy: {type: Best}}",
                "scoringStrategy.type: Unsupported value: \"Best\": supported values: \"LeastAllocated\", \"MostAllocated\", \"RequestedToCapacityRatio\""
            ),
            (
                "NodeResourcesFit", "{scoringStrategy: {type: LeastAllocated, resources: [{name: cpu, weight: 101}]}}",
                "scoringStrategy.resources[0].weight: Invalid value: 101: resource weight of cpu not in valid range (0, 100]"
            ),
            (
                "NodeResourcesFit", "{scoringStrategy: {type: RequestedToCapacityRatio}}",
                "scoringStrategy.requestedToCapacityRatio: Required value: must be specified when type is RequestedToCapacityRatio"
            ),
            (
                "NodeResourcesFit",
                "{scoringStrategy: {type: RequestedToCapacityRatio, requestedToCapacityRatio: {shape: [{utilization: 5}, {utilization: 5}]}}}",
                "scoringStrategy.requestedToCapacityRatio.shape[1].utilization: Invalid value: 5: values must be sorted in increasing order"
            ),
            (
                "NodeResourcesFit", "{ignoredResourceGroups: ['a.b/c']}",
                "ignoredResourceGroups[0]: Invalid value: \"a.b/c\": resource group name can't contain '/'"
            ),
            ("NodeResourcesBalancedAllocation", "{resources: [{name: cpu, weight: 2}]}", "resources[0].weight: Invalid value: 2: must be 1"),
            (
                "PodTopologySpread", "{defaultConstraints: [{maxSkew: 1, topologyKey: z, whenUnsatisfiable: ScheduleAnyway}]}",
                "defaultingType: Invalid value: \"System\": when .defaultConstraints are not empty"
            ),
            (
                "PodTopologySpread", "{defaultingType: List, defaultConstraints: [{maxSkew: 0, topologyKey: z, whenUnsatisfiable: ScheduleAnyway}]}",
                "defaultConstraints[0].maxSkew: Invalid value: 0: not in valid range (0, inf)"
            ),
            ("NodeAffinity", "{kind: OtherArgs}", ": Invalid value: \"OtherArgs\": has to match plugin args"),
        ])
    func argumentRefusals(plugin: String, args: String, message: String) {
        let prefix = "profiles[0].pluginConfig[0].args" + (message.hasPrefix(":") ? "" : ".")
        #expect(problem("profiles: [{pluginConfig: [{name: \(plugin), args: \(args)}]}]") == prefix + message)
    }

    @Test("points switch plugins off, on, and to other weights; an override stands where it was said, others keep the default order")
    func plugins() throws {
        let fewer = try profile(plugins: "multiPoint: {disabled: [{name: ImageLocality}]}\nscore: {disabled: [{name: InterPodAffinity}]}")
        #expect(
            weights(fewer).keys.sorted() == [
                "NodeAffinity", "NodeResourcesBalancedAllocation", "NodeResourcesFit", "PodTopologySpread", "TaintToleration",
            ])
        #expect(fewer.filters.contains { $0.name == "InterPodAffinity" })

        let only = try profile(plugins: "score: {disabled: [{name: '*'}], enabled: [{name: NodeResourcesFit, weight: 7}]}")
        #expect(weights(only) == ["NodeResourcesFit": 7])

        let first = try profile(plugins: "score: {enabled: [{name: ImageLocality, weight: 9}]}")
        #expect(first.scores.first?.plugin.name == "ImageLocality" && first.scores.first?.weight == 9 && first.scores.count == 7)

        let heavier = try profile(plugins: "multiPoint: {enabled: [{name: NodeResourcesFit, weight: 5}]}")
        #expect(weights(heavier)["NodeResourcesFit"] == 5)
        #expect(heavier.filters.map(\.name) == Profile.standard.filters.map(\.name))

        let none = try profile(
            plugins: "postFilter: {disabled: [{name: '*'}]}\npreEnqueue: {disabled: [{name: SchedulingGates}]}\npreBind: {disabled: [{name: '*'}]}")
        #expect(none.preemption == nil && !none.holdsGatedPods && none.volumePatience == nil)
        #expect(DefaultPreemption(none, budgets: []) == nil)
    }

    @Test("files of an extender's certificates are read; a key without its certificate and a file that is not there are refused")
    func extenderTLS() throws {
        let text =
            "extenders: [{urlPrefix: 'https://a/x/', filterVerb: f, enableHTTPS: true, httpTimeout: 250ms, ignorable: true}, "
            + "{urlPrefix: 'http://b', filterVerb: f, managedResources: [{name: a.io/gpu, ignoredByScheduler: true}]}]"
        let configuration = try read(text)
        // Those that may be left out are asked last.
        #expect(configuration.extenders.map(\.urlPrefix) == ["http://b", "https://a/x/"])
        #expect(configuration.extenders.last?.timeout == .milliseconds(250) && configuration.extenders.last?.url("f") == "https://a/x/f")
        #expect(configuration.extenders.first?.timeout == .seconds(5))
        #expect(problem("extenders: [{urlPrefix: 'https://a', tlsConfig: {keyData: YQ==}}]")?.contains("extenders[0].tlsConfig") ?? false)
        let missing = problem("extenders: [{urlPrefix: 'https://a', tlsConfig: {caFile: /ca}}]")
        #expect(missing?.contains("extenders[0].tlsConfig.caFile: Invalid value: \"/ca\": cannot be read") ?? false)
        #expect(problem("extenders: [{urlPrefix: 'ftp://a'}]")?.hasPrefix("extenders[0].urlPrefix: Invalid value: \"ftp://a\"") ?? false)
        // A key is in no message.
        for key in ["'se cret!'", "[secret]"] {
            #expect(problem("extenders: [{urlPrefix: 'https://a', tlsConfig: {keyData: \(key)}}]")?.contains("cret") == false)
        }
    }
}

@Suite("Scheduler: profiles at work")
struct ProfileTests {
    @Test("MostAllocated prefers the fuller node, LeastAllocated the emptier")
    func strategies() throws {
        let all = cache([try node("a"), try node("b")], [try pod("x", cpu: "2", memory: "4Gi", node: "a")])
        let small = try pod("p", cpu: "1", memory: "1Gi")
        #expect(schedule(.standard, small, all) == .node("b"))
        #expect(schedule(try profile("NodeResourcesFit", args: "{scoringStrategy: {type: MostAllocated}}"), small, all) == .node("a"))
    }

    @Test("scores follow upstream's formulas")
    func formulas() throws {
        var full = NodeInfo(name: "n", place: 0)
        full.set(try node("n", cpu: "4", memory: "8Gi"))
        full.add(try pod("x", cpu: "1", memory: "2Gi"))
        let wanted = try pod("p", cpu: "1", memory: "4Gi").nonZeroRequests
        // cpu is used to 50 %, memory to 75 %.
        #expect(ResourceScoring().score(full, wanted) == (50 + 25) / 2)
        #expect(ResourceScoring(strategy: .mostAllocated).score(full, wanted) == (50 + 75) / 2)
        let weighted = ResourceScoring(strategy: .mostAllocated, resources: [.init(kind: .cpu, weight: 3), .init(kind: .memory, weight: 1)])
        #expect(weighted.score(full, wanted) == (3 * 50 + 75) / 4)
        let ramp = ResourceScoring(strategy: .requestedToCapacityRatio(.init(points: [(0, 0), (100, 100)])))
        #expect(ramp.score(full, wanted) == 63)
        // What the node does not have, and what the pod does not ask for, does not count.
        let scalar = ResourceScoring(strategy: .mostAllocated, resources: [.init(kind: .scalar("a.io/gpu"), weight: 1)])
        #expect(scalar.score(full, wanted) == 0)
    }

    @Test("the shape is level outside its points and straight between them", arguments: [(0, 10), (10, 10), (30, 55), (50, 100), (99, 100)])
    func shape(utilization: Int, score: Int) {
        #expect(ResourceScoring.Shape(points: [(10, 10), (50, 100)]).score(Int64(utilization)) == Int64(score))
    }

    @Test("the plain scorers say what the general ones do")
    func plainScorers() throws {
        let all = cache(
            [try node("a"), try node("b", cpu: "16", memory: "16Gi"), try node("c", cpu: "1", memory: "64Gi")],
            [try pod("x", cpu: "3", memory: "1Gi", node: "a"), try pod("y", cpu: "500m", memory: "9Gi", node: "b")])
        let wanted = try pod("p", cpu: "700m", memory: "3Gi")
        // A resource that nobody has makes the plug-in take the general way.
        let general = try read(
            "profiles: [{pluginConfig: [{name: NodeResourcesFit, args: {scoringStrategy: {type: LeastAllocated, "
                + "resources: [{name: cpu}, {name: memory}, {name: a.io/gpu}]}}}, "
                + "{name: NodeResourcesBalancedAllocation, args: {resources: [{name: cpu}, {name: memory}, {name: a.io/gpu}]}}]}]")
        #expect(totals(try #require(general.profiles.first), wanted, all) == totals(.standard, wanted, all))
    }

    @Test("ignored resources keep no pod off a node, by name and by group; native ones cannot be ignored")
    func ignoredResources() throws {
        let all = cache([try node("a")])
        let gpu = try pod("p") { $0["containers"] = [["name": "c", "resources": ["requests": ["a.io/gpu": "1"]]]] }
        #expect(message(schedule(.standard, gpu, all))?.contains("Insufficient a.io/gpu") ?? false)
        #expect(schedule(try profile("NodeResourcesFit", args: "{ignoredResources: [a.io/gpu]}"), gpu, all) == .node("a"))
        #expect(schedule(try profile("NodeResourcesFit", args: "{ignoredResourceGroups: [a.io]}"), gpu, all) == .node("a"))
        let ignored = NodeResourcesFitArguments(ignoredResources: ["cpu"])
        #expect(!ignored.ignores("cpu"))
        // What an extender alone looks after.
        let managed = try read("extenders: [{urlPrefix: 'http://a', managedResources: [{name: a.io/gpu, ignoredByScheduler: true}]}]")
        #expect(schedule(try #require(managed.profiles.first), gpu, all) == .node("a"))
    }

    @Test("an added affinity is asked of all pods of the profile")
    func addedAffinity() throws {
        let all = cache([try node("a"), try node("b", labels: ["disk": "ssd"]), try node("c", labels: ["disk": "ssd", "fast": "yes"])])
        let added = try profile(
            "NodeAffinity",
            args: "{addedAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: "
                + "[{key: disk, operator: In, values: [ssd]}]}]}, preferredDuringSchedulingIgnoredDuringExecution: "
                + "[{weight: 5, preference: {matchExpressions: [{key: fast, operator: Exists}]}}]}}")
        #expect(schedule(added, try pod("p"), all) == .node("c"))
        #expect(
            message(schedule(added, try pod("p"), cache([try node("a")])))
                == "0/1 nodes are available: 1 node(s) didn't match scheduler-enforced node affinity.")
    }

    @Test("listed default constraints take the place of the built-in ones, hard ones, too")
    func spreading() throws {
        let web: LabelSelector = LabelSelector(matching: ["app": "web"])
        let bound = try pod("x", node: "a", labels: ["app": "web"])
        let all = cache([try node("a", labels: ["rack": "1"]), try node("b", labels: ["rack": "2"]), try node("c", labels: ["rack": "1"])], [bound])
        let listed = try profile(
            "PodTopologySpread",
            args: "{defaultingType: List, defaultConstraints: [{maxSkew: 1, topologyKey: rack, whenUnsatisfiable: DoNotSchedule}]}")
        #expect(schedule(listed, try pod("p", labels: ["app": "web"]), all, workload: web) == .node("b"))
        let none = try profile("PodTopologySpread", args: "{defaultingType: List}")
        let scores = totals(none, try pod("p", labels: ["app": "web"]), all, workload: web)
        #expect(scores["b"] == scores["c"])
        let usual = totals(.standard, try pod("p", labels: ["app": "web"]), all, workload: web)
        #expect(usual["b"] ?? 0 > usual["a"] ?? 0)
    }

    @Test("the weight of others' required affinity and whether their preferences count are the profile's")
    func affinity() throws {
        let term: Value = ["labelSelector": ["matchLabels": ["app": "p"]], "topologyKey": "kubernetes.io/hostname"]
        let wanting = try pod("x", node: "a") { $0[path: "affinity", "podAffinity", "requiredDuringSchedulingIgnoredDuringExecution"] = [term] }
        let hating = try pod("y", node: "b") {
            $0[path: "affinity", "podAntiAffinity", "preferredDuringSchedulingIgnoredDuringExecution"] = [["weight": 50, "podAffinityTerm": term]]
        }
        let all = cache([try node("a"), try node("b"), try node("c")], [wanting, hating])
        let wanted = try pod("p", labels: ["app": "p"])
        func scores(_ args: String) throws -> [Int64] {
            let scores = totals(try profile("InterPodAffinity", args: args), wanted, all)
            return ["a", "b", "c"].compactMap { scores[$0] }
        }
        let usual = try scores("{}")
        #expect(usual.count == 3 && usual[0] > usual[2] && usual[2] > usual[1])
        let weightless = try scores("{hardPodAffinityWeight: 0}")
        #expect(weightless[2] > weightless[0], "a holds a pod, c none")
        let deaf = try scores("{ignorePreferredTermsOfExistingPods: true}")
        #expect(deaf[0] == deaf[1])
    }

    @Test(
        "how many nodes are enough is the profile's", arguments: [(50, 10, 50), (1000, 0, 420), (1000, 5, 100), (1000, 80, 800), (1000, 100, 1000)])
    func percentage(count: Int, percentage: Int, enough: Int) { #expect(SchedulingCycle.enough(of: count, percentage: percentage) == enough) }

    @Test("a profile that compares nothing takes the first node that will do")
    func noScores() throws {
        let plain = try profile(plugins: "score: {disabled: [{name: '*'}]}")
        let all = cache([try node("a"), try node("b")], [try pod("x", cpu: "2", node: "a")])
        #expect(schedule(plain, try pod("p", cpu: "1"), all) == .node("a"))
    }

    @Test("pods of one of the schedulers are ours, others are left alone")
    func names() throws {
        let names = ["default-scheduler", "packer"]
        for (name, change) in [("packer", PodChange.pending), ("default-scheduler", .pending), ("other", .remove)] {
            #expect(PodChange.of(nil, try podObject("p") { $0["schedulerName"] = .string(name) }, schedulers: names) == change)
        }
        #expect(PodChange.of(nil, try podObject("p"), schedulers: ["packer"]) == .remove)
        #expect(PodChange.of(nil, try podObject("p", node: "a") { $0["schedulerName"] = "other" }, schedulers: names) == .bound)
    }

    @Test("nodes looked at for preemption", arguments: [(10, 10), (500, 100), (5000, 500)])
    func candidates(nodes: Int, looked: Int) { #expect(DefaultPreemptionArguments.standard.candidates(of: nodes) == looked) }
}
