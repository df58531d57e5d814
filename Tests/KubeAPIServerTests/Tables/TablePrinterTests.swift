import KubeAPI
import Testing

@testable import KubeAPIServer

@Suite struct TablePrinterTests {
    static let now = Timestamp(rfc3339: "2026-01-02T00:00:00Z") ?? Timestamp(seconds: 0)

    /// The cells of one object by column name.
    func cells(_ resource: String, _ json: String) throws -> [String: Value] {
        let slash = try #require(resource.lastIndex(of: "/"))
        let names = GroupVersionKind(apiVersion: String(resource[..<slash]), kind: "")
        let row = try #require(
            ResourceTable.shared[
                GroupVersionResource(group: names.group, version: names.version, resource: String(resource[resource.index(after: slash)...]))])
        let table = try Value(json: TablePrinter.table(row: row, objects: [try Object(json: json)], now: Self.now))
        let columns = table["columnDefinitions"]?.array?.compactMap { $0["name"]?.string } ?? []
        let cells = table["rows"]?.array?.first?["cells"]?.array ?? []
        return Dictionary(zip(columns, cells)) { $1 }
    }

    @Test(
        "durations are as short as kubectl users know them",
        arguments: [
            (-5, "<invalid>"), (-1, "0s"), (0, "0s"), (119, "119s"), (120, "2m"), (200, "3m20s"), (599, "9m59s"), (600, "10m"), (10_799, "179m"),
            (10_800, "3h"),
            (11_100, "3h5m"), (28_800, "8h"), (172_799, "47h"), (172_800, "2d"), (187_200, "2d4h"), (691_200, "8d"), (63_071_999, "729d"),
            (63_072_000, "2y"),
            (64_800_000, "2y20d"), (315_360_000, "10y"),
        ])
    func durations(_ seconds: Int64, _ text: String) { #expect(Cells.human(seconds: seconds) == text) }

    @Test(
        "a pod's status says what its containers say",
        arguments: [
            (#"{"phase":"Pending"}"#, "{}", "Pending", "0/1"),
            (#"{"phase":"Running","containerStatuses":[{"ready":true,"state":{"running":{}}}]}"#, "{}", "Running", "1/1"),
            (#"{"phase":"Pending","containerStatuses":[{"state":{"waiting":{"reason":"ContainerCreating"}}}]}"#, "{}", "ContainerCreating", "0/1"),
            (#"{"phase":"Running","containerStatuses":[{"state":{"waiting":{"reason":"CrashLoopBackOff"}}}]}"#, "{}", "CrashLoopBackOff", "0/1"),
            (#"{"phase":"Failed","containerStatuses":[{"state":{"terminated":{"exitCode":3}}}]}"#, "{}", "ExitCode:3", "0/1"),
            (#"{"phase":"Failed","containerStatuses":[{"state":{"terminated":{"exitCode":137,"signal":9}}}]}"#, "{}", "Signal:9", "0/1"),
            (#"{"phase":"Succeeded","containerStatuses":[{"state":{"terminated":{"exitCode":0,"reason":"Completed"}}}]}"#, "{}", "Completed", "0/1"),
            (#"{"phase":"Failed","reason":"Evicted"}"#, "{}", "Evicted", "0/1"),
            (#"{"phase":"Running"}"#, #"{"deletionTimestamp":"2026-01-01T00:00:00Z"}"#, "Terminating", "0/1"),
            (#"{"phase":"Succeeded"}"#, #"{"deletionTimestamp":"2026-01-01T00:00:00Z"}"#, "Succeeded", "0/1"),
            (#"{"phase":"Running","reason":"NodeLost"}"#, #"{"deletionTimestamp":"2026-01-01T00:00:00Z"}"#, "Unknown", "0/1"),
            (
                #"{"phase":"Pending","conditions":[{"type":"PodScheduled","status":"False","reason":"SchedulingGated"}]}"#, "{}", "SchedulingGated",
                "0/1"
            ),
            (#"{"phase":"Pending","initContainerStatuses":[{"name":"i","state":{"running":{}}}]}"#, "{}", "Init:0/1", "0/1"),
            (
                #"{"phase":"Pending","initContainerStatuses":[{"name":"i","state":{"terminated":{"exitCode":1,"reason":"Error"}}}]}"#, "{}",
                "Init:Error", "0/1"
            ),
            (
                #"{"phase":"Pending","initContainerStatuses":[{"name":"i","state":{"waiting":{"reason":"ImagePullBackOff"}}}]}"#, "{}",
                "Init:ImagePullBackOff", "0/1"
            ),
            (
                #"{"phase":"Pending","initContainerStatuses":[{"name":"i","state":{"terminated":{"exitCode":0}}}],"containerStatuses":[{"state":{"waiting":{"reason":"PodInitializing"}}}]}"#,
                "{}", "PodInitializing", "0/1"
            ),
        ])
    func podStatus(_ status: String, _ metadata: String, _ expected: String, _ ready: String) throws {
        var pod = try Value(json: #"{"metadata":{},"spec":{"containers":[{"name":"c"}],"initContainers":[{"name":"i"}]}}"#)
        pod["metadata"] = try Value(json: metadata)
        pod["status"] = try Value(json: status)
        let cells = try cells("v1/pods", pod.jsonString)
        #expect(cells["Status"]?.string == expected)
        #expect(cells["Ready"]?.string == ready)
    }

    @Test("a pod's row shows restarts, age, address, node and gates")
    func podRow() throws {
        let cells = try cells(
            "v1/pods",
            #"{"metadata":{"name":"p","creationTimestamp":"2026-01-01T23:55:00Z"},"spec":{"nodeName":"n","containers":[{"name":"c"}],"readinessGates":[{"conditionType":"a"},{"conditionType":"b"}]},"status":{"phase":"Running","podIPs":[{"ip":"10.0.0.1"}],"conditions":[{"type":"a","status":"True"}],"containerStatuses":[{"ready":true,"restartCount":2,"state":{"running":{}},"lastState":{"terminated":{"exitCode":1,"finishedAt":"2026-01-01T23:59:55Z"}}}]}}"#
        )
        #expect(cells["Restarts"]?.string == "2 (5s ago)")
        #expect(cells["Age"]?.string == "5m")
        #expect(cells["IP"]?.string == "10.0.0.1")
        #expect(cells["Node"]?.string == "n")
        #expect(cells["Nominated Node"]?.string == "<none>")
        #expect(cells["Readiness Gates"]?.string == "1/2")
    }

    @Test(
        "the rows of other kinds show what kubectl users look for",
        arguments: [
            (
                "apps/v1/deployments",
                #"{"metadata":{"name":"d"},"spec":{"replicas":3,"selector":{"matchLabels":{"a":"b"}},"template":{"spec":{"containers":[{"name":"c","image":"i"}]}}},"status":{"readyReplicas":2,"updatedReplicas":3,"availableReplicas":1}}"#,
                #"{"Name":"d","Ready":"2/3","Up-to-date":3,"Available":1,"Age":"<unknown>","Containers":"c","Images":"i","Selector":"a=b"}"#
            ),
            (
                "v1/services",
                #"{"metadata":{"name":"s","creationTimestamp":"2026-01-01T00:00:00Z"},"spec":{"type":"NodePort","clusterIP":"10.0.0.1","clusterIPs":["10.0.0.1"],"ports":[{"port":80,"nodePort":30080,"protocol":"TCP"}]}}"#,
                #"{"Name":"s","Type":"NodePort","Cluster-IP":"10.0.0.1","External-IP":"<none>","Port(s)":"80:30080/TCP","Age":"24h","Selector":"<none>"}"#
            ),
            (
                "v1/nodes",
                #"{"metadata":{"name":"n","labels":{"node-role.kubernetes.io/worker":""}},"spec":{"unschedulable":true},"status":{"conditions":[{"type":"Ready","status":"True"}],"addresses":[{"type":"InternalIP","address":"10.1.0.4"}],"nodeInfo":{"kubeletVersion":"v1.36.2"}}}"#,
                #"{"Name":"n","Status":"Ready,SchedulingDisabled","Roles":"worker","Age":"<unknown>","Version":"v1.36.2","Internal-IP":"10.1.0.4","External-IP":"<none>","OS-Image":"<unknown>","Kernel-Version":"<unknown>","Container-Runtime":"<unknown>"}"#
            ),
            (
                "v1/endpoints",
                #"{"metadata":{"name":"e"},"subsets":[{"addresses":[{"ip":"1.1.1.1"},{"ip":"1.1.1.2"}],"ports":[{"port":80},{"port":443}]}]}"#,
                #"{"Name":"e","Endpoints":"1.1.1.1:80,1.1.1.2:80,1.1.1.1:443 + 1 more...","Age":"<unknown>"}"#
            ),
            (
                "batch/v1/jobs",
                #"{"metadata":{"name":"j"},"spec":{"completions":2,"template":{"spec":{"containers":[]}}},"status":{"succeeded":1,"startTime":"2026-01-01T23:59:00Z"}}"#,
                #"{"Name":"j","Status":"Running","Completions":"1/2","Duration":"60s","Age":"<unknown>","Containers":"","Images":"","Selector":"<none>"}"#
            ),
            (
                "networking.k8s.io/v1/ingressclasses",
                #"{"metadata":{"name":"alb","annotations":{"ingressclass.kubernetes.io/is-default-class":"true"}},"spec":{"controller":"a.b/c","parameters":{"kind":"K","apiGroup":"g","name":"n"}}}"#,
                #"{"Name":"alb (default)","Controller":"a.b/c","Parameters":"K.g/n","Age":"<unknown>"}"#
            ),
            ("v1/configmaps", #"{"metadata":{"name":"c"},"data":{"a":"","b":""}}"#, #"{"Name":"c","Data":2,"Age":"<unknown>"}"#),
            (
                "rbac.authorization.k8s.io/v1/roles", #"{"metadata":{"name":"r","creationTimestamp":"2026-01-01T00:00:00Z"}}"#,
                #"{"Name":"r","Created At":"2026-01-01T00:00:00Z"}"#
            ),
            (
                "v1/events",
                #"{"metadata":{"name":"e"},"type":"Warning","reason":"R","message":" m\n","lastTimestamp":"2026-01-01T23:59:30Z","involvedObject":{"kind":"Pod","name":"p"},"source":{"component":"kubelet","host":"n"},"count":3}"#,
                #"{"Last Seen":"30s","Type":"Warning","Reason":"R","Object":"pod/p","Subobject":"","Source":"kubelet, n","Message":"m","First Seen":"<unknown>","Count":3,"Name":"e"}"#
            ),
        ])
    func rows(_ resource: String, _ object: String, _ expected: String) throws {
        let wanted = try Value(json: expected).object ?? Members()
        #expect(try cells(resource, object) == Dictionary(wanted.map { ($0, $1) }) { $1 })
    }

    @Test("every resource's table has a cell for each of its columns", arguments: ResourceTable.shared.rows.filter { !$0.columns.isEmpty })
    func complete(_ row: ResourceRow) throws {
        let table = try Value(json: TablePrinter.table(row: row, objects: [try Object(json: #"{"metadata":{"name":"x"}}"#)], now: Self.now))
        let cells = table["rows"]?.array?.first?["cells"]?.array
        #expect(cells?.count == table["columnDefinitions"]?.array?.count)
        let place = try #require(row.columns.firstIndex { $0.name == "Name" })
        #expect(cells?[place].string == "x")
    }

    @Test("a table carries objects, their metadata or neither")
    func includeObject() throws {
        let row = try #require(ResourceTable.shared[GroupVersionResource(group: "", version: "v1", resource: "configmaps")])
        let object = try Object(json: #"{"metadata":{"name":"x"},"data":{"a":"b"}}"#)
        func included(_ what: TablePrinter.IncludeObject) throws -> Value? {
            try Value(json: TablePrinter.table(row: row, objects: [object], includeObject: what))["rows"]?.array?.first?["object"]
        }
        #expect(try included(.object) == object.value)
        #expect(try included(.none)?.isNull == true)
        #expect(try included(.metadata) == ["kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": ["name": "x"]])
        let meta = TablePrinter.ListMeta(resourceVersion: "7", continueToken: "c", remainingItemCount: 2)
        let list = try Value(json: TablePrinter.table(row: row, objects: [], listMeta: meta, withColumns: false))
        #expect(list["metadata"] == ["resourceVersion": "7", "continue": "c", "remainingItemCount": 2])
        #expect(list["columnDefinitions"]?.isNull == true && list["rows"] == [])
    }

    @Test("custom resources show their own columns")
    func customResource() throws {
        let row = ResourceRow(
            group: "a.example", version: "v1", resource: "foos", kind: "Foo", namespaced: true,
            columns: [
                TableColumn(name: "Ready", type: "string", jsonPath: #".status.conditions[?(@.type=="Ready")].status"#),
                TableColumn(name: "N", type: "integer", jsonPath: ".spec.n"), TableColumn(name: "First", type: "string", jsonPath: ".spec.list[0]"),
                TableColumn(name: "Dotted", type: "string", jsonPath: #".metadata.annotations['a\.b/c']"#),
                TableColumn(name: "Missing", type: "string", jsonPath: ".spec.none"),
                TableColumn(name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp"),
            ], isCustom: true)
        let object = try Object(
            json:
                #"{"metadata":{"name":"x","creationTimestamp":"2026-01-01T23:59:50Z","annotations":{"a.b/c":"d"}},"spec":{"n":3,"list":["l"]},"status":{"conditions":[{"type":"Other","status":"False"},{"type":"Ready","status":"True"}]}}"#
        )
        let table = try Value(json: TablePrinter.table(row: row, objects: [object], now: Self.now))
        #expect(table["rows"]?.array?.first?["cells"] == ["x", "True", 3, "l", "d", .null, "10s"])
    }
}
