#include "CSchema.h"

// #embed is C23; clang offers it in every mode and says so.
#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char types[] = {
#embed "data/schema.txt"
};
static const unsigned char resources[] = {
#embed "data/resources.txt"
};
static const unsigned char columns[] = {
#embed "data/columns.txt"
};
static const unsigned char protobuf[] = {
#embed "data/protobuf.txt"
};
static const unsigned char descriptions[] = {
#embed "data/descriptions.txt"
};

struct cschema_text cschema_types(void) { return (struct cschema_text){types, sizeof types}; }
struct cschema_text cschema_resources(void) { return (struct cschema_text){resources, sizeof resources}; }
struct cschema_text cschema_columns(void) { return (struct cschema_text){columns, sizeof columns}; }
struct cschema_text cschema_descriptions(void) { return (struct cschema_text){descriptions, sizeof descriptions}; }
struct cschema_text cschema_protobuf(void) { return (struct cschema_text){protobuf, sizeof protobuf}; }
