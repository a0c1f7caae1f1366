// A node's life, from a checked configuration to its exit code.
#pragma once

#include "host/config.h"
#include "host/plugins_toml.h"

namespace quorate::host {

// Loads the plugins, checks their options, and prints the effective configuration on stdout. 0 or 1.
int check_config(const Config& config, const PluginsConfig& plugins, LogSink* log);

// Serves until SIGTERM or SIGINT (0) or until the node must not go on (1). A second signal ends the process
// at once. REQUIRES: SIGTERM and SIGINT are blocked, and no thread but the log's runs.
int run_node(const Config& config, const PluginsConfig& plugins, LogSink* log);

}  // namespace quorate::host
