#pragma once
#include <stddef.h>

// The tables of facts about the Kubernetes API that tools/generate-schema.py writes (see the first lines of each file in ../data), embedded at build time.

/// A text that lives as long as the process.
struct cschema_text {
    const unsigned char *_Nonnull bytes;
    size_t length;
};

/// Types, fields, list and patch rules: data/schema.txt.
struct cschema_text cschema_types(void);
/// The served built-in resources: data/resources.txt.
struct cschema_text cschema_resources(void);
/// The columns of `kubectl get`: data/columns.txt.
struct cschema_text cschema_columns(void);
/// Protobuf numbers: data/protobuf.txt, which tools/generate-protobuf.py writes.
struct cschema_text cschema_protobuf(void);
/// What types and fields are for, written by hand: data/descriptions.txt.
struct cschema_text cschema_descriptions(void);
