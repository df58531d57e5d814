import KubeAPI

/// Upstream: pkg/registry/core/pod.podStrategy and podStatusStrategy.
struct PodStrategy: ResourceStrategy {
    func prepareForCreate(_ object: inout Value, _ reader: any ObjectReader) throws {
        if let grace = object[path: "spec", "terminationGracePeriodSeconds"]?.int, grace < 0 {
            object[path: "spec", "terminationGracePeriodSeconds"] = 1
        }
        var status: Value = ["phase": "Pending"]
        if !(object[path: "spec", "schedulingGates"]?.array ?? []).isEmpty {
            status["conditions"] = [
                [
                    "type": "PodScheduled", "status": "False", "reason": "SchedulingGated",
                    "message": "Scheduling is blocked due to non-empty scheduling gates",
                    "lastProbeTime": .null, "lastTransitionTime": .null,
                ]
            ]
        }
        status["qosClass"] = .string(PodQualityOfService.compute(try Object(object)))
        object["status"] = status
    }

    func prepareForUpdate(_ object: inout Value, old: Object, subresource: String, _ reader: any ObjectReader) throws {
        if subresource.isEmpty, let grace = object[path: "spec", "terminationGracePeriodSeconds"]?.int, grace < 0 {
            object[path: "spec", "terminationGracePeriodSeconds"] = 1
        }
        // A status without a class keeps the one the pod has: it never changes.
        if subresource == "status", let quality = old["status"]["qosClass"].value { object[path: "status", "qosClass"] = quality }
    }

    func validate(_ object: Object) -> [StatusError.Cause] {
        var errors = FieldErrors()
        PodSpecValidation(path: "spec").validate(object["spec"], &errors)
        if object["spec"]["hostNetwork"].bool == true { PodSpecValidation(path: "spec").validateHostNetwork(object["spec"], &errors) }
        if object.metadata.annotations[MirrorPod.annotation] != nil, (object["spec"]["nodeName"].string ?? "").isEmpty {
            errors.invalid(
                "metadata.annotations[\(MirrorPod.annotation)]", .string(object.metadata.annotations[MirrorPod.annotation] ?? ""),
                "must set spec.nodeName if mirror pod annotation is set")
        }
        if !object["spec"]["schedulingGates"].elements.isEmpty, !(object["spec"]["nodeName"].string ?? "").isEmpty {
            errors.forbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared")
        }
        if !object["spec"]["ephemeralContainers"].elements.isEmpty { errors.forbidden("spec.ephemeralContainers", "cannot be set on create") }
        return errors.causes
    }

    func validateUpdate(_ object: Object, old: Object, subresource: String) -> [StatusError.Cause] {
        switch subresource {
        case "": PodUpdateValidation.validate(object, old: old)
        case "status": PodUpdateValidation.validateStatus(object, old: old)
        case "ephemeralcontainers": PodUpdateValidation.validateEphemeralContainers(object, old: old)
        default: []
        }
    }
}
