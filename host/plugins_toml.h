// plugins.toml: which plugins a node loads, and what they are told. Its schema is docs/plugins-toml.md.
#pragma once

#include <string>
#include <vector>

#include "host/loader.h"
#include "quorate/plugin/transport.h"

namespace quorate::host {

struct PluginChoice {
  PluginRequest request;
  std::string where;                      // "plugins.toml:12", or "built in"
  std::vector<std::string> option_where;  // the same, of each of request.options
  // Of a transport: the listeners it serves.
  std::vector<plugin::ListenerRole> roles = {plugin::ListenerRole::kClient, plugin::ListenerRole::kPeer};
};

struct PluginsConfig {
  std::string source;  // the file, or "built in"
  PluginChoice storage;
  std::vector<PluginChoice> transports;  // asked in this order whether a connection is theirs
  std::string peer_transport;            // "transport-grpc"
};

// RocksDB and gRPC.
PluginsConfig builtin_plugins();

// A section that is left out keeps what it has built in. Errors name the file, the line and the key.
plugin::Status parse_plugins(const std::string& toml, const std::string& file, PluginsConfig* out);

// The first that exists of: `chosen` (--plugins, which must exist), plugins.toml in the data directory,
// etc/quorate/plugins.toml beside the binary's folder, built in. Files are owner-checked as plugins are.
plugin::Status find_plugins(const std::string& chosen, const std::string& data_directory, PluginsConfig* out);

// As a plugins.toml that would say the same.
std::string describe(const PluginsConfig& config);

}  // namespace quorate::host
