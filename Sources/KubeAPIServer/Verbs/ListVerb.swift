import KubeAPI
import KubeStorage

extension ResourceVerbs {
    /// Upstream: handlers.ListResource over a cacher that is always current: every read sees what has been acknowledged before it.
    func list() async throws -> ObjectList {
        let options = try ListOptions(request.query, row: row, isWatch: false)
        let namespace = row.namespaced && !info.namespace.isEmpty ? info.namespace : nil
        let kind = GroupVersionKind(group: row.group, version: row.version, kind: row.listKind)
        let requested = try options.revision()
        var token: ContinueToken?
        if options.continueToken.isEmpty {
            if let requested, requested > scope.storage.revision { throw ListOptions.tooLarge(requested, current: scope.storage.revision) }
        } else {
            guard (requested ?? 0) == 0 else { throw StatusError.badRequest("specifying resource version is not allowed when using continue") }
            token = try ContinueToken(encoded: options.continueToken)
        }
        if token == nil, options.versionMatch != .exact, let name = options.fields.exactMatch("metadata.name"),
            let inside = namespace ?? (row.namespaced ? nil : "")
        {
            let revision = scope.storage.revision
            let object = try await scope.present(namespace: inside, name: name).map { scope.external($0) }
            return ObjectList(kind: kind, revision: revision, objects: object.map { options.matches($0) ? [$0] : [] } ?? [])
        }
        // From the cache as it is all is listed at once. Upstream: cacher.computeListLimit.
        let limit = options.limit > 0 && options.resourceVersion != "0" ? Int(clamping: options.limit) : nil
        // The pages of one list show the revision of its first; -1 goes on with what is newest.
        let revision = token.map { $0.revision > 0 ? $0.revision : nil } ?? (options.versionMatch == .exact ? requested : nil)
        let page: ListPage
        do throws(StatusError) {
            page = try scope.storage.page(namespace: namespace, limit: limit, start: token?.start, revision: revision, filter: filter(options))
        } catch {
            throw token.map { Self.expired($0, error) } ?? error
        }
        var list = ObjectList(kind: kind, revision: page.revision, objects: page.objects)
        if scope.conversion != nil { list.objects = list.objects.map { scope.external($0) } }
        if let custom = scope.custom {
            list.objects = try await custom.shown(list.objects)
            // What a webhook makes of objects is selected after it has.
            if custom.conversion.webhook != nil, !options.selectsAll { list.objects = list.objects.filter { options.matches($0) } }
        }
        if let next = page.nextKey {
            // A list that went on from the newest state shows that one from here on. Upstream: etcd3.store.GetList.
            list.continueToken = ContinueToken(revision: page.revision, start: scope.storage.relative(next, namespace: namespace)).encoded
            if let remaining = page.remainingCount, remaining > 0 { list.remaining = remaining }
        }
        return list
    }

    /// A page whose revision is gone: with a token that goes on with the newest state, if the client accepts that. Upstream:
    /// etcd3.handleCompactedErrorForPaging.
    private static func expired(_ token: ContinueToken, _ error: StatusError) -> StatusError {
        guard error.isExpired else { return error }
        var error = error
        error.message =
            "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue "
            + "parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token "
            + "results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now "
            + "may show up in the list."
        error.continueToken = ContinueToken(revision: -1, start: token.start).encoded
        return error
    }

    /// What selects objects as they are stored; nil when all are wanted.
    func filter(_ options: ListOptions) -> (@Sendable (Object) -> Bool)? {
        guard !options.selectsAll else { return nil }
        if let custom = scope.custom {
            if custom.conversion.webhook != nil { return nil }
            // Labels are the same in all versions; fields may have defaults.
            if options.fields.isEverything { return { options.matches($0) } }
            return { options.matches(custom.shownAtOnce($0) ?? $0) }
        }
        guard scope.conversion == nil else { return { [scope] in options.matches(scope.external($0)) } }
        return { options.matches($0) }
    }
}
