// etcd's v3 messages as plain structs, with etcd's field names, and the tables that encode, decode and print
// them.
//
// What a message may hold, and who keeps alive what it refers to: wire/table.h. Sub-messages are pointers,
// null when absent; a copy shares them. Set a member of a oneof through set_<member>(), which sets the case
// too; reading needs no look at the case, the members that are not set are zero. Enums are open: a client may
// send any number.
//
// Fields and numbers are those of etcd 3.7 and, for Health, of gRPC.
#pragma once

#include "api/messages_admin.h"
#include "api/messages_kv.h"
