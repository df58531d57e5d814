/// What `kubectl explain` says of the metadata of every object. Upstream: the doc comments of meta/v1.ObjectMeta.
enum MetadataDescriptions {
    static let type = "apimachinery.pkg.apis.meta.v1.ObjectMeta"

    static let fields: [String: String] = [
        "annotations": "Annotations is a map of keys to text of any form, kept for tools. Nothing is selected by it.",
        "creationTimestamp": "CreationTimestamp is a timestamp of the server's time when the object was created. Clients may not set it. Read-only.",
        "deletionGracePeriodSeconds": "DeletionGracePeriodSeconds is how long the object may take to end by itself before it is removed. Read-only.",
        "deletionTimestamp": "DeletionTimestamp is a timestamp by which the object is to be gone; set when deletion was asked for. Read-only.",
        "finalizers": "Finalizers are the names of those who must act before the object is removed. Each takes its own name off the list.",
        "generateName": "GenerateName is a prefix to which the server adds a unique suffix when name is empty.",
        "generation": "Generation is a number that grows with each change of the desired state. Read-only.",
        "labels": "Labels is a map of keys to values by which objects are organised and selected.",
        "managedFields": "ManagedFields says who set which fields, and when. It is kept for server-side apply; most users need not look at it.",
        "name": "Name is unique within a namespace, for one resource. It cannot be changed.",
        "namespace": "Namespace is the space within which names are unique; empty for objects of the whole cluster. It cannot be changed.",
        "ownerReferences": "OwnerReferences are the objects this one depends on: when all are gone, it is removed. One may be its controller.",
        "resourceVersion": "ResourceVersion is opaque text that changes with each change of the object; watches and updates refer to it. Read-only.",
        "selfLink": "SelfLink is not set any more.",
        "uid": "UID is unique in time and space: an object that has the same name later has another. Read-only.",
    ]
}
